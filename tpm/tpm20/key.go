package tpm20

import (
	"bytes"
	"context"
	"crypto"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// withPassword returns a handle that a password authorizes. A password session
// needs no name of the object, but go-tpm wants one: nil stands for the name of a
// permanent handle.
func withPassword(h tpm2.TPMHandle, name, password []byte) tpm2.AuthHandle {
	if name == nil {
		name = wire.AppendU32(nil, uint32(h))
	}
	return tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}, Auth: tpm2.PasswordAuth(password)}
}

// publicKey is what TPM2_ReadPublic returns of a key.
type publicKey struct {
	area   *tpm2.TPMTPublic
	name   []byte // TPM2B_NAME
	key    crypto.PublicKey
	scheme tpm2.TPMAlgID // TPM_ALG_NULL where the key leaves it open
	hash   pcr.Hash      // of the scheme
}

// readPublic reads the public part of the key at a handle.
func (s *session) readPublic(handle uint32) (*publicKey, error) {
	rsp, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(handle)}.Execute(s)
	if err != nil {
		return nil, fmt.Errorf("key 0x%08x: %w", handle, err)
	}
	area, err := rsp.OutPublic.Contents()
	if err != nil {
		return nil, command.ReplyError("TPM2_ReadPublic", err)
	}
	k, err := newPublicKey(area)
	if err != nil {
		return nil, fmt.Errorf("key 0x%08x: %w", handle, err)
	}
	k.name = bytes.Clone(rsp.Name.Buffer)
	return k, nil
}

// newPublicKey converts a public area.
func newPublicKey(area *tpm2.TPMTPublic) (*publicKey, error) {
	k := &publicKey{area: area, scheme: tpm2.TPMAlgNull}
	key, err := tpm2.Pub(*area)
	if err != nil {
		return nil, fmt.Errorf("%w: public area: %w", command.ErrReply, err)
	}
	k.key = key
	switch area.Type {
	case tpm2.TPMAlgRSA:
		d, err := area.Parameters.RSADetail()
		if err != nil {
			return nil, fmt.Errorf("%w: public area: %w", command.ErrReply, err)
		}
		k.scheme = d.Scheme.Scheme
		switch k.scheme {
		case tpm2.TPMAlgRSASSA:
			if v, err := d.Scheme.Details.RSASSA(); err == nil {
				k.hash = pcr.Hash(v.HashAlg)
			}
		case tpm2.TPMAlgRSAPSS:
			if v, err := d.Scheme.Details.RSAPSS(); err == nil {
				k.hash = pcr.Hash(v.HashAlg)
			}
		}
	case tpm2.TPMAlgECC:
		d, err := area.Parameters.ECCDetail()
		if err != nil {
			return nil, fmt.Errorf("%w: public area: %w", command.ErrReply, err)
		}
		k.scheme = d.Scheme.Scheme
		if k.scheme == tpm2.TPMAlgECDSA {
			if v, err := d.Scheme.Details.ECDSA(); err == nil {
				k.hash = pcr.Hash(v.HashAlg)
			}
		}
	}
	return k, nil
}

// signingScheme returns the scheme to ask for: TPM_ALG_NULL where the key has a
// scheme of its own, else RSASSA or ECDSA with the hash of the key's name, which
// every version of strongSwan's verifier can check.
func (k *publicKey) signingScheme() (tpm2.TPMTSigScheme, error) {
	if k.scheme != tpm2.TPMAlgNull {
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, nil
	}
	h := &tpm2.TPMSSchemeHash{HashAlg: k.area.NameAlg}
	switch k.area.Type {
	case tpm2.TPMAlgRSA:
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, h)}, nil
	case tpm2.TPMAlgECC:
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, h)}, nil
	}
	return tpm2.TPMTSigScheme{}, fmt.Errorf("%w: a key of type 0x%04x cannot sign quotes", attest.ErrNoKey, uint16(k.area.Type))
}

// Identity returns the certificate of the AIK, checked against the key at the
// handle, else that key.
func (t *TPM) Identity(ctx context.Context, aik attest.AIK) (attest.Identity, error) {
	if aik.Handle == 0 {
		return aik.Identity(nil)
	}
	var key crypto.PublicKey
	err := t.do(ctx, "read AIK", func(s *session) error {
		k, err := s.readPublic(aik.Handle)
		if err != nil {
			return err
		}
		key = k.key
		return nil
	})
	if err != nil {
		return attest.Identity{}, err
	}
	return aik.Identity(key)
}
