// Package crypto is the cryptography of IKEv2: proposals and suites, key
// exchange, the key schedule of RFC 7296 sections 2.13 to 2.18, AUTH payloads, the
// protection of SK (RFC 7296 section 3.14) and SKF payloads (RFC 7383), and the packet
// cipher that ESP uses.
//
// Random sources are injected; nil means crypto/rand. Key material prints
// as "[redacted]" and is overwritten by Zero. Values are not safe for
// concurrent use unless they say so.
package crypto

import (
	"crypto/rand"
	"io"
)

// randOr returns r, or the system's random source where r is nil.
func randOr(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}

func zero(bs ...[]byte) {
	for _, b := range bs {
		clear(b)
	}
}

const redacted = "[redacted]"
