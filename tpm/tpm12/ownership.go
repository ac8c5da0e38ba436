package tpm12

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// protocolOwner is TPM_PID_OWNER.
const protocolOwner = 5

// oaepLabel is the encoding parameter of OAEP in TPM 1.2 (TPM Main Part 1 section
// 31.1.1).
var oaepLabel = []byte("TCPA")

// Secret returns the secret that a password stands for: the well-known secret for
// an empty password, else its SHA-1 hash, as trousers does.
func Secret(password []byte) [20]byte {
	if len(password) == 0 {
		return wellKnown
	}
	return sha1.Sum(password)
}

// TakeOwnership sets the owner's secret and makes a storage root key with the
// well-known secret (TPM Main Part 3 section 6.1). The TPM must have no owner and
// must be enabled and active.
func (t *TPM) TakeOwnership(ctx context.Context, owner [20]byte) error {
	return t.do(ctx, "take ownership", func(s *session) error {
		ek, err := s.readPubek()
		if err != nil {
			return err
		}
		pub, err := ek.PublicKey()
		if err != nil {
			return command.ReplyError("TPM_ReadPubek", err)
		}
		params := wire.AppendU16(nil, protocolOwner)
		for _, secret := range [][]byte{owner[:], wellKnown[:]} {
			enc, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, pub, secret, oaepLabel)
			if err != nil {
				return err
			}
			if params, err = wire.AppendVec32(params, enc); err != nil {
				return err
			}
		}
		srk := KeyBlob{
			Version: versionKey, Usage: KeyUsageStorage, AuthDataUsage: authAlways,
			Algorithm: algRSA, EncScheme: encOAEP, SigScheme: sigNone, KeyLength: 2048, NumPrimes: 2,
		}
		if params, err = srk.AppendBinary(params); err != nil {
			return err
		}
		a, err := s.oiap(owner[:])
		if err != nil {
			return err
		}
		_, _, err = s.run("TPM_TakeOwnership", ordTakeOwnership, nil, params, 0, a)
		s.endSessions(err, a)
		return err
	})
}
