package tpm12

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"crypto/subtle"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// Identity is a new attestation identity key, with what a privacy CA has to know
// of it.
type Identity struct {
	Blob    []byte // TPM_KEY: the setting aik_blob
	Pubkey  []byte // TPM_PUBKEY
	Binding []byte // signature by the new key over TPM_IDENTITY_CONTENTS
	// Label is labelPrivCADigest: see LabelDigest.
	Label [20]byte
}

// LabelDigest returns TPM_CHOSENID_HASH (TPM Main Part 3 section 15.1): the
// SHA-1 of the identity's label and the privacy CA's TPM_PUBKEY, which is nil
// where no CA is chosen.
func LabelDigest(label string, caPubkey []byte) [20]byte {
	return sha1.Sum(append([]byte(label), caPubkey...))
}

// identityContents returns TPM_IDENTITY_CONTENTS (TPM Main Part 2 section 12.5):
// 01010000 | u32 ordinal | labelPrivCADigest | TPM_PUBKEY.
func identityContents(label [20]byte, pubkey []byte) []byte {
	b := wire.AppendU32([]byte{1, 1, 0, 0}, ordMakeIdentity)
	return append(append(b, label[:]...), pubkey...)
}

// CheckIdentity verifies the binding of an identity, which shows that the TPM
// made the key for that label, and returns its public key. Privacy CAs call it;
// it needs no TPM.
func CheckIdentity(id Identity) (*rsa.PublicKey, error) {
	k, err := ParsePubkey(id.Pubkey)
	if err != nil {
		return nil, err
	}
	pub, err := k.PublicKey()
	if err != nil {
		return nil, err
	}
	digest := sha1.Sum(identityContents(id.Label, id.Pubkey))
	if err := rsa.VerifyPKCS1v15(pub, crypto.SHA1, digest[:], id.Binding); err != nil {
		return nil, fmt.Errorf("identity binding: %w", err)
	}
	return pub, nil
}

// IdentityTemplate says which kind of identity key to make.
type IdentityTemplate struct {
	Label     [20]byte // labelPrivCADigest: see LabelDigest
	Key12     bool     // a TPM_KEY12 instead of a TPM_KEY
	Authorize bool     // the key is used with its secret, the well-known one
}

// keyBlob returns the TPM_KEY or TPM_KEY12 with which TPM_MakeIdentity is asked
// for the key.
func (k IdentityTemplate) keyBlob() KeyBlob {
	key := KeyBlob{
		Version: versionKey, Usage: KeyUsageIdentity, Flags: keyFlagVolatile, AuthDataUsage: authNever,
		Algorithm: algRSA, EncScheme: encNone, SigScheme: sigRSASSA, KeyLength: 2048, NumPrimes: 2,
	}
	if k.Key12 {
		key.Version = [4]byte{tagKey12 >> 8, tagKey12 & 0xff, 0, 0}
	}
	if k.Authorize {
		key.AuthDataUsage = authAlways
	}
	return key
}

// MakeIdentity makes an attestation identity key under the storage root key,
// whose secret is the well-known one (TPM Main Part 3 section 15.1). Owner is
// the owner's secret: see Secret.
func (t *TPM) MakeIdentity(ctx context.Context, owner [20]byte, template IdentityTemplate) (id *Identity, err error) {
	err = t.do(ctx, "make identity", func(s *session) error {
		const name = "TPM_MakeIdentity"
		srk, err := s.oiap(wellKnown[:])
		if err != nil {
			return err
		}
		own, err := s.osap(entityOwner, handleOwner, owner[:])
		if err != nil {
			s.flush(srk.handle, rtAuth)
			return err
		}
		// the key's secret is the well-known one, encrypted by the session's pad:
		// SHA1(shared secret || even nonce)
		pad := sha1.Sum(append(bytes.Clone(own.key), own.even[:]...))
		secret := make([]byte, nonceLen)
		subtle.XORBytes(secret, wellKnown[:], pad[:])
		key := template.keyBlob()
		params, err := key.AppendBinary(append(secret, template.Label[:]...))
		if err != nil {
			return err
		}
		_, out, err := s.run(name, ordMakeIdentity, nil, params, 0, srk, own)
		if err != nil {
			s.endSessions(err, srk, own)
			return err
		}
		blob, binding, err := splitIdentity(out)
		if err != nil {
			return command.ReplyError(name, err)
		}
		made, err := ParseKeyBlob(blob)
		if err != nil {
			return command.ReplyError(name, err)
		}
		id = &Identity{Blob: blob, Pubkey: made.Pubkey(), Binding: binding, Label: template.Label}
		if _, err := CheckIdentity(*id); err != nil {
			return command.ReplyError(name, err)
		}
		return nil
	})
	return id, err
}

// Constants of the session that authorizes TPM_MakeIdentity.
const (
	entityOwner = 2          // TPM_ET_OWNER
	handleOwner = 0x40000001 // TPM_KH_OWNER
)

// splitIdentity splits the reply of TPM_MakeIdentity: TPM_KEY | u32 n, binding.
// The key's own lengths say where it ends.
func splitIdentity(out []byte) (blob, binding []byte, err error) {
	r := wire.NewReader("TPM_MakeIdentity reply", out)
	r.Skip(4 + 2 + 4 + 1 + 4 + 2 + 2)
	for range 4 { // parameters, PCR info, modulus, private part
		vec32(r)
	}
	n := len(out) - r.Len()
	binding = vec32(r)
	if err := r.Finish(); err != nil {
		return nil, nil, err
	}
	return bytes.Clone(out[:n]), binding, nil
}
