package tpm12

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// Constants of TPM_SYMMETRIC_KEY (TPM Main Part 2).
const (
	algAES128 = 6    // TPM_ALG_AES128
	algAES256 = 9    // TPM_ALG_AES256
	encCBC    = 0xff // TPM_ES_SYM_CBC_PKCS5PAD
)

// Credential is what a privacy CA sends to a TPM 1.2: TPM_ASYM_CA_CONTENTS,
// encrypted by the endorsement key.
type Credential []byte

// MakeCredential wraps a session key of 16 or 32 octets so that only the TPM with
// that endorsement key unwraps it, and only if it holds the identity key as well
// (TPM Main Part 1 section 16). Privacy CAs call it; it needs no TPM.
//
// TPM_ASYM_CA_CONTENTS (TPM Main Part 2 section 12.8) is TPM_SYMMETRIC_KEY (u32
// algorithm | u16 scheme | u16 n, key) | SHA-1 of the identity's TPM_PUBKEY.
func MakeCredential(ek *rsa.PublicKey, identityPubkey, key []byte) (Credential, error) {
	alg := map[int]uint32{16: algAES128, 32: algAES256}[len(key)]
	if alg == 0 {
		return nil, fmt.Errorf("make credential: a session key of %d octets is not an AES key of 16 or 32", len(key))
	}
	b := wire.AppendU16(wire.AppendU32(nil, alg), encCBC)
	b, err := wire.AppendVec16(b, key)
	if err != nil {
		return nil, err
	}
	digest := sha1.Sum(identityPubkey)
	enc, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, ek, append(b, digest[:]...), oaepLabel)
	if err != nil {
		return nil, fmt.Errorf("make credential: %w", err)
	}
	return enc, nil
}

// ActivateIdentity unwraps the session key of a credential for the identity key in
// a blob (TPM Main Part 3 section 15.2). Owner is the owner's secret.
func (t *TPM) ActivateIdentity(ctx context.Context, blob []byte, c Credential, owner [20]byte) (key []byte, err error) {
	err = t.do(ctx, "activate identity", func(s *session) error {
		const name = "TPM_ActivateIdentity"
		handle, err := s.loadKey(blob, wellKnown)
		if err != nil {
			return err
		}
		defer s.flush(handle, rtKey)
		id, err := s.oiap(wellKnown[:])
		if err != nil {
			return err
		}
		own, err := s.oiap(owner[:])
		if err != nil {
			s.flush(id.handle, rtAuth)
			return err
		}
		params, err := wire.AppendVec32(nil, c)
		if err != nil {
			return err
		}
		_, out, err := s.run(name, ordActivateIdentity, wire.AppendU32(nil, handle), params, 0, id, own)
		if err != nil {
			s.endSessions(err, id, own)
			return err
		}
		r := wire.NewReader(name+" reply", out)
		r.Skip(4 + 2)
		key = bytes.Clone(r.Bytes(int(r.U16())))
		if err := r.Finish(); err != nil {
			return command.ReplyError(name, err)
		}
		return nil
	})
	return key, err
}
