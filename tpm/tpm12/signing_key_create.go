package tpm12

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"crypto/subtle"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// entitySRK is TPM_ET_SRK.
const entitySRK = 4

// SigningKeyRequest says which key to make.
type SigningKeyRequest struct {
	Bits int // of the modulus; 0 = 2048
	// Password of the key, of which Secret is made; empty: the key is used without one.
	Password []byte
	SHA1     bool     // bind it to SHA-1 (TPM_SS_RSASSAPKCS1v15_SHA1)
	SRK      [20]byte // secret of the storage root key; the zero value is the well-known one
}

// keyBlob returns the TPM_KEY with which TPM_CreateWrapKey is asked for the key.
func (r SigningKeyRequest) keyBlob() (KeyBlob, error) {
	if r.Bits == 0 {
		r.Bits = 2048
	}
	if r.Bits < 1024 || r.Bits > maxKeyBits {
		return KeyBlob{}, fmt.Errorf("a TPM 1.2 makes no RSA key of %d bits", r.Bits)
	}
	key := KeyBlob{
		Version: versionKey, Usage: KeyUsageSigning, AuthDataUsage: authNever,
		Algorithm: algRSA, EncScheme: encNone, SigScheme: sigDER, KeyLength: uint32(r.Bits), NumPrimes: 2,
	}
	if r.SHA1 {
		key.SigScheme = sigRSASSA
	}
	if len(r.Password) > 0 {
		key.AuthDataUsage = authAlways
	}
	return key, nil
}

// CreateSigningKey makes an RSA key under the storage root key that never leaves the
// TPM, and returns its TPM_KEY (TPM Main Part 3 section 10.4, TPM_CreateWrapKey).
func (t *TPM) CreateSigningKey(ctx context.Context, req SigningKeyRequest) (blob []byte, err error) {
	key, err := req.keyBlob()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	err = t.do(ctx, "make key", func(s *session) error {
		const name = "TPM_CreateWrapKey"
		a, err := s.osap(entitySRK, handleSRK, req.SRK[:])
		if err != nil {
			return err
		}
		// The secret is encrypted by the session's pad, SHA1(shared secret || even nonce).
		// The migration secret that follows is ignored for a key that does not migrate.
		pad := sha1.Sum(append(bytes.Clone(a.key), a.even[:]...))
		secret := Secret(req.Password)
		subtle.XORBytes(secret[:], secret[:], pad[:])
		params, err := key.AppendBinary(append(secret[:], make([]byte, nonceLen)...))
		if err != nil {
			return err
		}
		_, out, err := s.run(name, ordCreateWrapKey, wire.AppendU32(nil, handleSRK), params, 0, a)
		if err != nil {
			s.endSessions(err, a)
			return err
		}
		made, err := ParseKeyBlob(out)
		if err == nil {
			err = made.CheckSigning()
		}
		if err != nil {
			return command.ReplyError(name, err)
		}
		blob = bytes.Clone(out)
		return nil
	})
	return blob, err
}
