package tpm20

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// attestCertify is TPM_ST_ATTEST_CERTIFY (TPM Library Part 2 section 6.9).
const attestCertify = 0x8017

// Certification is an attestation key's statement that a key is in the same TPM
// (TPM Library Part 3 section 18.2).
type Certification struct {
	Info      []byte   // TPMS_ATTEST
	Scheme    Scheme   // of the signature
	Hash      pcr.Hash // of the signature
	Signature []byte   // RSA as it is, ECDSA as r followed by s
}

// certified is a TPMS_ATTEST of TPM2_Certify:
//
//	u32 magic | u16 type | u16 n, qualifiedSigner | u16 n, extraData
//	| clockInfo (17) | firmwareVersion (8) | u16 n, name | u16 n, qualifiedName
type certified struct{ extraData, name []byte }

func parseCertified(b []byte) (certified, error) {
	r := wire.NewReader("TPMS_ATTEST", b)
	var c certified
	if at := r.Offset(); r.U32() != attestMagic {
		r.Fail(at, wire.ErrValue)
	}
	if at := r.Offset(); r.U16() != attestCertify {
		r.Fail(at, wire.ErrValue)
	}
	r.Bytes(int(r.U16()))
	c.extraData = bytes.Clone(r.Bytes(int(r.U16())))
	r.Bytes(17 + 8)
	c.name = bytes.Clone(r.Bytes(int(r.U16())))
	r.Bytes(int(r.U16()))
	return c, r.Finish()
}

// Certify makes the attestation key at a handle certify a key, together with up to 64
// octets of qualifying data.
func (t *TPM) Certify(ctx context.Context, ak uint32, key *SigningKey, qualifying []byte) (c *Certification, err error) {
	err = t.do(ctx, "certify key", func(s *session) error {
		signer, err := s.readPublic(ak)
		if err != nil {
			return err
		}
		scheme, err := signer.signingScheme()
		if err != nil {
			return err
		}
		key.mu.Lock()
		defer key.mu.Unlock()
		rsp, err := tpm2.Certify{
			ObjectHandle:   withPassword(key.handle, key.key.name, key.password),
			SignHandle:     withPassword(tpm2.TPMHandle(ak), signer.name, nil),
			QualifyingData: tpm2.TPM2BData{Buffer: qualifying},
			InScheme:       scheme,
		}.Execute(s)
		if err != nil {
			return err
		}
		c = &Certification{Info: bytes.Clone(rsp.CertifyInfo.Bytes()), Scheme: Scheme(rsp.Signature.SigAlg)}
		if c.Signature, c.Hash, err = signature(&rsp.Signature, signer.key); err != nil {
			return err
		}
		if err := c.Check(signer.key, key.key.name, qualifying); err != nil {
			return command.ReplyError("TPM2_Certify", err)
		}
		return nil
	})
	return c, err
}

// Check verifies that the attestation key with that public key certified the key of
// that name, with that qualifying data. Whether the first is an attestation key is
// for its certificate to say (CheckAK).
func (c *Certification) Check(ak crypto.PublicKey, name, qualifying []byte) error {
	if err := VerifySignature(ak, c.Scheme, c.Hash, c.Info, c.Signature); err != nil {
		return fmt.Errorf("certification: %w", err)
	}
	a, err := parseCertified(c.Info)
	switch {
	case err != nil:
		return fmt.Errorf("certification: %w", err)
	case !bytes.Equal(a.name, name):
		return errors.New("certification: it is of another key")
	case !bytes.Equal(a.extraData, qualifying):
		return errors.New("certification: it is of another request")
	}
	return nil
}

// Area returns the public part of the key, TPMT_PUBLIC.
func (k *SigningKey) Area() []byte { return tpm2.Marshal(k.key.area) }
