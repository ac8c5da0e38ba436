// Package privacyca has the two messages by which a privacy CA certifies an
// Attestation Identity Key without having seen the machine (TCG A CMC Profile for
// AIK Certificate Enrollment section 3; TPM Library Part 1 section 24; TPM Main
// Part 1 section 16).
//
// The holder of the TPM sends a Request: the endorsement key, the attestation key
// and a signature by the latter. The Issuer checks the endorsement key's
// certificate, and that the attestation key signs only what the TPM itself made.
// Its Answer holds the certificate, encrypted by a secret that only the TPM with
// both keys unwraps: it is useless to anyone else.
//
// Both are text, a sequence of PEM blocks, and may travel by mail, HTTP or hand.
//
// # Usage
//
// The holder, with the TPM:
//
//	key, err := t.CreateAK(ctx, tpm20.AKRequest{}, tpm20.Auth{})
//	ek, err := t.EndorsementKey(ctx, tpm20.RSA, tpm20.Auth{})
//	request, err := privacyca.NewRequest20(ctx, t, key.Handle, ek, "laptop17")
//	text, err := request.Encode()
//
// The CA, without one:
//
//	request, err := privacyca.ParseRequest(text)
//	issuer := privacyca.Issuer{Certificate: ca, Key: caKey, Trust: privacyca.NewTrust(manufacturers)}
//	answer, _, err := issuer.Issue(time.Now(), request)
//	text := answer.Encode()
//
// The holder again:
//
//	answer, err := privacyca.ParseAnswer(text)
//	certificate, err := answer.Activate20(ctx, t, key.Handle, tpm20.Auth{})
package privacyca

import (
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxFile is the length in octets of the longest request or answer.
const MaxFile = 64 << 10

// ErrMissing is the cause where a request or an answer lacks a block.
var ErrMissing = errors.New("a block is missing")

// blocks decodes PEM blocks by their type. A type that occurs twice is an error;
// unknown types are kept and ignored.
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

// need returns the content of a required block.
func need(all map[string]*pem.Block, typ string) ([]byte, error) {
	p := all[typ]
	if p == nil || len(p.Bytes) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrMissing, typ)
	}
	return p.Bytes, nil
}
