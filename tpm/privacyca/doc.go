// Package privacyca is what the holder of a TPM and a privacy CA send each
// other, so that the CA certifies an Attestation Identity Key without having
// seen the machine (TCG A CMC Profile for AIK Certificate Enrollment §3; TPM
// Library Part 1 §24; TPM Main Part 1 §16).
//
// The holder sends a Request: endorsement key, attestation key, and the proof
// that they are made for each other. The Issuer checks the endorsement key's
// certificate, and that the attestation key is one that signs only what the TPM
// made itself. Its Answer holds the certificate, encrypted by a secret that only
// the TPM with both keys unwraps: to whoever else gets it it is of no use.
//
// Both are text, blocks of PEM one after the other, and may travel by mail, HTTP
// or hand.
package privacyca

import (
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxFile is the longest request or answer that is read, in octets.
const MaxFile = 64 << 10

// ErrMissing is the cause where a request or an answer lacks a block.
var ErrMissing = errors.New("a block is missing")

// blocks reads PEM blocks by their type. A type that occurs twice is an error;
// unknown ones are kept and do no harm.
func blocks(b []byte) (map[string]*pem.Block, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("longer than %d octets", MaxFile)
	}
	out := map[string]*pem.Block{}
	for {
		var p *pem.Block
		if p, b = pem.Decode(b); p == nil {
			break
		}
		if out[p.Type] != nil {
			return nil, fmt.Errorf("it holds %s twice", p.Type)
		}
		out[p.Type] = p
	}
	return out, nil
}

// need returns the content of a block that must be there.
func need(all map[string]*pem.Block, typ string) ([]byte, error) {
	p := all[typ]
	if p == nil || len(p.Bytes) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrMissing, typ)
	}
	return p.Bytes, nil
}
