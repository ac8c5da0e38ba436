package message

import (
	"crypto/sha1"
	"encoding/asn1"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// HashURL says where a certificate, or a bundle of them, can be fetched: the content
// of a CERT payload of encoding CertHashURL or CertHashURLBundle (RFC 7296 section
// 3.6).
//
//	 0                   1                   2                   3
//	+---------------+---------------+---------------+---------------+
//	|            SHA-1 hash of what the URL leads to, 20 octets     |
//	+---------------+---------------+---------------+---------------+
//	|                URL, http, not terminated …                    |
type HashURL struct {
	Hash [sha1.Size]byte
	URL  string
}

// MaxURL is the longest URL of a certificate in octets.
const MaxURL = 2048

// ParseHashURL decodes the data of such a payload.
func ParseHashURL(b []byte) (h HashURL, err error) {
	r := wire.NewReader("HashURL", b)
	copy(h.Hash[:], r.Bytes(sha1.Size))
	at := r.Offset()
	if r.Len() == 0 || r.Len() > MaxURL {
		r.Fail(at, fmt.Errorf("URL of %d octets: %w", r.Len(), wire.ErrLength))
	}
	h.URL = string(r.Rest())
	for i := range len(h.URL) {
		if c := h.URL[i]; c <= ' ' || c >= 0x7f {
			r.Fail(at+i, fmt.Errorf("octet %#x in a URL: %w", c, wire.ErrValue))
		}
	}
	if err := r.Finish(); err != nil {
		return HashURL{}, err
	}
	return h, nil
}

// AppendBinary appends hash and URL.
func (h HashURL) AppendBinary(b []byte) ([]byte, error) {
	if h.URL == "" || len(h.URL) > MaxURL {
		return b, fmt.Errorf("URL of %d octets: %w", len(h.URL), wire.ErrLength)
	}
	return append(append(b, h.Hash[:]...), h.URL...), nil
}

// CertBundle is what the URL of encoding CertHashURLBundle leads to: DER of
// certificates and CRLs (RFC 7296 section 3.6).
//
//	CertificateOrCRL ::= CHOICE { cert [0] Certificate, crl [1] CertificateList }
//	CertificateBundle ::= SEQUENCE OF CertificateOrCRL
type CertBundle struct {
	Certs, CRLs [][]byte
}

// MaxBundle is the largest number of entries of a bundle.
const MaxBundle = 32

// Tags of a bundle's entries, which are explicit.
const (
	bundleCert = 0
	bundleCRL  = 1
)

// ParseCertBundle decodes a bundle. The entries are clones.
func ParseCertBundle(b []byte) (c CertBundle, err error) {
	r := wire.NewReader("CertBundle", b)
	var entries []asn1.RawValue
	rest, err := asn1.Unmarshal(b, &entries)
	switch {
	case err != nil:
		r.Fail(0, fmt.Errorf("%w: %w", wire.ErrValue, err))
	case len(rest) > 0:
		r.Fail(len(b)-len(rest), wire.ErrLength)
	case len(entries) > MaxBundle:
		r.Fail(0, fmt.Errorf("%d entries: %w", len(entries), wire.ErrLength))
	}
	for _, e := range entries {
		var inner asn1.RawValue
		left, err := asn1.Unmarshal(e.Bytes, &inner)
		switch {
		case e.Class != asn1.ClassContextSpecific || !e.IsCompound || err != nil || len(left) > 0:
			r.Fail(0, fmt.Errorf("entry that is no certificate: %w", wire.ErrValue))
		case e.Tag == bundleCert:
			c.Certs = append(c.Certs, clone(e.Bytes))
		case e.Tag == bundleCRL:
			c.CRLs = append(c.CRLs, clone(e.Bytes))
		default:
			r.Fail(0, fmt.Errorf("entry of kind %d: %w", e.Tag, wire.ErrValue))
		}
	}
	if err := r.Err(); err != nil {
		return CertBundle{}, err
	}
	return c, nil
}
