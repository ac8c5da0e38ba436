package tpm20

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// Credential is what a privacy CA sends to a TPM 2.0 so that it proves to hold
// a key beside its endorsement key (TPM Library Part 1 section 24).
type Credential struct {
	IDObject []byte // TPMS_ID_OBJECT: the content of TPM2B_ID_OBJECT
	Secret   []byte // the content of TPM2B_ENCRYPTED_SECRET
}

// Header of tpm2_makecredential's files.
const (
	credentialMagic   = 0xbadcc0de
	credentialVersion = 1
)

// ParseCredential decodes a file of tpm2_makecredential:
// u32 0xbadcc0de | u32 1 | TPM2B_ID_OBJECT | TPM2B_ENCRYPTED_SECRET.
func ParseCredential(b []byte) (Credential, error) {
	r := wire.NewReader("credential", b)
	var c Credential
	if at := r.Offset(); r.U32() != credentialMagic {
		r.Fail(at, fmt.Errorf("%w: not a file of tpm2_makecredential", wire.ErrValue))
	}
	if at := r.Offset(); r.U32() != credentialVersion {
		r.Fail(at, wire.ErrValue)
	}
	c.IDObject = bytes.Clone(r.Bytes(int(r.U16())))
	c.Secret = bytes.Clone(r.Bytes(int(r.U16())))
	return c, r.Finish()
}

// AppendBinary appends the credential as a file of tpm2_makecredential.
func (c Credential) AppendBinary(b []byte) ([]byte, error) {
	b = wire.AppendU32(wire.AppendU32(b, credentialMagic), credentialVersion)
	b, err := wire.AppendVec16(b, c.IDObject)
	if err != nil {
		return nil, err
	}
	return wire.AppendVec16(b, c.Secret)
}

// MakeCredential wraps up to 32 octets of a secret so that only the TPM with that
// endorsement key unwraps it, and only if it holds the key of that name as well.
// The endorsement key is of the TCG's template for its type. Privacy CAs call it; it
// needs no TPM.
func MakeCredential(typ KeyType, ek crypto.PublicKey, name, secret []byte) (Credential, error) {
	area, err := ekArea(typ, ek)
	if err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	if len(secret) == 0 || len(secret) > 32 {
		return Credential{}, fmt.Errorf("make credential: a secret of %d octets; 1 to 32 fit", len(secret))
	}
	enc, err := tpm2.ImportEncapsulationKey(&area)
	if err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	id, sec, err := tpm2.CreateCredential(rand.Reader, enc, name, secret)
	if err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	return Credential{IDObject: id, Secret: sec}, nil
}

// ekArea returns the public area of an endorsement key.
func ekArea(typ KeyType, ek crypto.PublicKey) (tpm2.TPMTPublic, error) {
	area, err := typ.template()
	if err != nil {
		return area, err
	}
	if !typ.holds(ek) {
		return area, fmt.Errorf("the endorsement key is not of the type %v", typ)
	}
	switch k := ek.(type) {
	case *rsa.PublicKey:
		if k.E != 65537 {
			return area, fmt.Errorf("an RSA endorsement key with the exponent %d is not of the TCG's templates", k.E)
		}
		area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.FillBytes(make([]byte, k.Size()))})
	case *ecdsa.PublicKey:
		b, err := k.Bytes()
		if err != nil {
			return area, fmt.Errorf("endorsement key: %w", err)
		}
		half := 1 + (len(b)-1)/2
		area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: b[1:half]}, Y: tpm2.TPM2BECCParameter{Buffer: b[half:]},
		})
	}
	return area, nil
}

// ActivateCredential unwraps the secret of a credential for the key at a
// handle (TPM Library Part 3 section 12.5).
func (t *TPM) ActivateCredential(ctx context.Context, handle uint32, ekType KeyType, c Credential, auth Auth) (secret []byte, err error) {
	err = t.do(ctx, "activate credential", func(s *session) error {
		k, err := s.readPublic(handle)
		if err != nil {
			return err
		}
		cert, err := s.ekCertificate(ekType, auth)
		if err != nil && !errors.Is(err, attest.ErrNoKey) {
			return err
		}
		ek, err := s.endorsement(ekType, cert, auth)
		if err != nil {
			return err
		}
		defer s.flush(ek)
		rsp, err := tpm2.ActivateCredential{
			ActivateHandle: withPassword(tpm2.TPMHandle(handle), k.name, nil),
			KeyHandle:      ek.use(auth),
			CredentialBlob: tpm2.TPM2BIDObject{Buffer: c.IDObject},
			Secret:         tpm2.TPM2BEncryptedSecret{Buffer: c.Secret},
		}.Execute(s)
		if err != nil {
			var re *command.ResponseError
			if errors.As(err, &re) && !errors.Is(err, command.ErrBusy) && !errors.Is(err, command.ErrLocked) {
				return fmt.Errorf("%w; the credential is for another key or another TPM", err)
			}
			return err
		}
		secret = bytes.Clone(rsp.CertInfo.Buffer)
		return nil
	})
	return secret, err
}
