package tpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// oaepLabel is the encoding parameter of OAEP in TPM 1.2
// (TPM Main Part 1 §31.1.1).
var oaepLabel = []byte("TCPA")

const (
	entityOwner   = 2 // TPM_ET_OWNER
	protocolOwner = 5 // TPM_PID_OWNER
	algAES128     = 6 // TPM_ALG_AES128
	algAES256     = 9 // TPM_ALG_AES256
	encSymCBC     = 0xff
)

// Secret12 returns the form in which a TPM 1.2 knows a password: the
// well-known secret for an empty one, else its SHA-1 hash, as trousers takes it.
func Secret12(password []byte) [20]byte {
	if len(password) == 0 {
		return wellKnown
	}
	return sha1.Sum(password)
}

// Identity12 is a new attestation identity key of a TPM 1.2, and what a
// privacy CA wants to see of it.
type Identity12 struct {
	Blob    []byte // TPM_KEY: the setting aik_blob
	Pubkey  []byte // TPM_PUBKEY
	Binding []byte // signature by the new key over TPM_IDENTITY_CONTENTS
	Label   [20]byte
	// Label is labelPrivCADigest: see LabelDigest.
}

// LabelDigest returns TPM_CHOSENID_HASH (TPM Main Part 3 §15.1): the SHA-1 of
// the identity's label and the privacy CA's TPM_PUBKEY, which is nil for a key
// that no CA was chosen for.
func LabelDigest(label string, caPubkey []byte) [20]byte {
	return sha1.Sum(append([]byte(label), caPubkey...))
}

// identityContents returns TPM_IDENTITY_CONTENTS (TPM Main Part 2 §12.5):
// 01010000 | u32 ordinal | labelPrivCADigest | TPM_PUBKEY.
func identityContents(label [20]byte, pubkey []byte) []byte {
	b := wire.AppendU32([]byte{1, 1, 0, 0}, ordMakeIdentity)
	return append(append(b, label[:]...), pubkey...)
}

// CheckIdentity12 verifies the binding of a TPM 1.2's identity and returns its
// public key. For privacy CAs.
func CheckIdentity12(id Identity12) (*rsa.PublicKey, error) {
	k, err := ParsePubkey(wire.NewReader("TPM_PUBKEY", id.Pubkey))
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

// IdentityTemplate is the kind of identity key to make.
type IdentityTemplate struct {
	Label     [20]byte // labelPrivCADigest: see LabelDigest
	Key12     bool     // a TPM_KEY12 instead of a TPM_KEY
	Authorize bool     // its use needs its secret, which is the well-known one
}

// MakeIdentity makes an attestation identity key under the SRK, whose secret is
// the well-known one (TPM Main Part 3 §15.1).
func (t *V12) MakeIdentity(ctx context.Context, owner [20]byte, template IdentityTemplate) (id *Identity12, err error) {
	label := template.Label
	version, usage := versionKey, uint8(authNever)
	if template.Key12 {
		version = [4]byte{tagKey12 >> 8, tagKey12 & 0xff, 0, 0}
	}
	if template.Authorize {
		usage = authAlways
	}
	err = t.do(ctx, "make identity", func(s *session12) error {
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
		// the key's secret is the well-known one, on its way in the session's
		// pad: SHA1(shared secret || even nonce)
		pad := sha1.Sum(append(bytes.Clone(own.key), own.even[:]...))
		secret := make([]byte, nonceLen)
		subtle.XORBytes(secret, wellKnown[:], pad[:])
		key := KeyBlob{
			Version: version, Usage: KeyUsageIdentity, Flags: keyFlagVolatile, AuthDataUsage: usage,
			Algorithm: algRSA, EncScheme: encNone, SigScheme: sigRSASSA, KeyLength: 2048, NumPrimes: 2,
		}
		params, err := key.AppendBinary(append(secret, label[:]...))
		if err != nil {
			return err
		}
		_, out, err := s.run(name, ordMakeIdentity, nil, params, 0, srk, own)
		if err != nil {
			s.drop(err, srk, own)
			return err
		}
		blob, binding, err := splitIdentity(out)
		if err != nil {
			return replyError(name, err)
		}
		made, err := ParseKeyBlob(wire.NewReader(name+" reply", blob))
		if err != nil {
			return replyError(name, err)
		}
		id = &Identity12{Blob: blob, Pubkey: made.Pubkey(), Binding: binding, Label: label}
		if _, err := CheckIdentity12(*id); err != nil {
			return replyError(name, err)
		}
		return nil
	})
	return id, err
}

// handleOwner is TPM_KH_OWNER.
const handleOwner = 0x40000001

// splitIdentity cuts the reply of TPM_MakeIdentity: TPM_KEY | u32 n, binding.
// The key delimits itself.
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

// TakeOwnership sets the owner's secret and makes a storage root key with the
// well-known secret (TPM Main Part 3 §6.1). The TPM must have no owner and must
// be enabled and active.
func (t *V12) TakeOwnership(ctx context.Context, owner [20]byte) error {
	return t.do(ctx, "take ownership", func(s *session12) error {
		ek, err := s.readPubek()
		if err != nil {
			return err
		}
		pub, err := ek.PublicKey()
		if err != nil {
			return replyError("TPM_ReadPubek", err)
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
		s.drop(err, a)
		return err
	})
}

// readPubek reads the public endorsement key of a TPM without owner
// (TPM Main Part 3 §14.4).
func (s *session12) readPubek() (*KeyBlob, error) {
	const name = "TPM_ReadPubek"
	var nonce [nonceLen]byte
	s.rand(nonce[:])
	_, out, err := s.run(name, ordReadPubek, nil, nonce[:], 0)
	if err != nil {
		return nil, err
	}
	if len(out) < sha1.Size {
		return nil, replyError(name, wire.ErrTruncated)
	}
	pubek, checksum := out[:len(out)-sha1.Size], out[len(out)-sha1.Size:]
	if want := sha1.Sum(append(bytes.Clone(pubek), nonce[:]...)); !hmac.Equal(checksum, want[:]) {
		return nil, replyError(name, errors.New("its checksum is wrong"))
	}
	k, err := ParsePubkey(wire.NewReader(name+" reply", pubek))
	if err != nil {
		return nil, replyError(name, err)
	}
	return &k, nil
}

// EndorsementKey reads the public endorsement key, with the owner's secret
// where the TPM has an owner, and its certificate.
func (t *V12) EndorsementKey(ctx context.Context, owner [20]byte) (e *Endorsement, err error) {
	err = t.do(ctx, "read endorsement key", func(s *session12) error {
		ek, err := s.readPubek()
		if err != nil {
			var re *ResponseError
			if !errors.As(err, &re) {
				return err
			}
			if ek, err = s.ownerReadPubek(owner); err != nil {
				return err
			}
		}
		pub, err := ek.PublicKey()
		if err != nil {
			return replyError("TPM_ReadPubek", err)
		}
		e = &Endorsement{Type: RSA, PublicKey: pub, Area: ek.Pubkey()}
		cert, err := s.ekCertificate(owner)
		if err != nil || cert == nil {
			return err
		}
		e.Certificate, err = checkEKCertificate(cert, pub)
		return err
	})
	return e, err
}

func (s *session12) ownerReadPubek(owner [20]byte) (*KeyBlob, error) {
	const name = "TPM_OwnerReadInternalPub"
	a, err := s.oiap(owner[:])
	if err != nil {
		return nil, err
	}
	// unlike other handles, this one is authorized too (TPM Main Part 3 §14.5)
	_, out, err := s.run(name, ordOwnerReadInternalPub, nil, wire.AppendU32(nil, handleEK), 0, a)
	if err != nil {
		s.drop(err, a)
		return nil, err
	}
	k, err := ParsePubkey(wire.NewReader(name+" reply", out))
	if err != nil {
		return nil, replyError(name, err)
	}
	return &k, nil
}

// EK certificate of a TPM 1.2 (TCG PC Client Implementation Specification for
// Conventional BIOS §7.4.5): index TPM_NV_INDEX_EKCert with the D bit, holding
//
//	u16 0x1001 | u8 0 (full) | u16 n | u16 0x1002, certificate
const (
	nvEKCert12       = 0x1000f000
	tagStoredCert    = 0x1001
	tagFullCert      = 0x1002
	nvChunk12        = 128 // small enough for every TPM's buffer
	maxEKCertificate = 8192
	rc12BadIndex     = 2
	rc12AuthConflict = 0x3b
	storedCertHeader = 5
	fullCertificate  = 0
)

// ekCertificate reads the certificate; nil where there is none.
func (s *session12) ekCertificate(owner [20]byte) ([]byte, error) {
	head, err := s.readNV(nvEKCert12, 0, storedCertHeader, owner)
	var re *ResponseError
	if errors.As(err, &re) && (re.Code == rc12BadIndex || re.Code == rc12NoEndorsement) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("TCG_PCCLIENT_STORED_CERT", head)
	if at := r.Offset(); r.U16() != tagStoredCert {
		r.Fail(at, wire.ErrValue)
	}
	if at := r.Offset(); r.U8() != fullCertificate {
		r.Fail(at, fmt.Errorf("%w: not a full certificate", wire.ErrValue))
	}
	n := int(r.U16())
	if at := r.Offset(); n < 3 || n > maxEKCertificate {
		r.Fail(at, wire.ErrLength)
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	var b []byte
	for len(b) < n {
		c, err := s.readNV(nvEKCert12, storedCertHeader+len(b), min(nvChunk12, n-len(b)), owner)
		if err != nil {
			return nil, err
		}
		if len(c) == 0 {
			return nil, replyError("TPM_NV_ReadValue", wire.ErrLength)
		}
		b = append(b, c...)
	}
	if b[0] == tagFullCert>>8 && b[1] == tagFullCert&0xff {
		return b[2:], nil
	}
	return b, nil
}

// readNV reads a part of an NV index, without authorization, else with the
// owner's.
func (s *session12) readNV(index uint32, offset, n int, owner [20]byte) ([]byte, error) {
	const name = "TPM_NV_ReadValue"
	params := wire.AppendU32(wire.AppendU32(wire.AppendU32(nil, index), uint32(offset)), uint32(n))
	_, out, err := s.run(name, ordNVReadValue, nil, params, 0)
	var re *ResponseError
	if errors.As(err, &re) && (re.Code == rc12AuthFail || re.Code == rc12AuthConflict) {
		a, err2 := s.oiap(owner[:])
		if err2 != nil {
			return nil, err2
		}
		if _, out, err = s.run(name, ordNVReadValue, nil, params, 0, a); err != nil {
			s.drop(err, a)
		}
	}
	if err != nil {
		return nil, err
	}
	return outVec(name, out)
}

// Credential12 is what a privacy CA sends to a TPM 1.2: TPM_ASYM_CA_CONTENTS,
// encrypted for the endorsement key.
type Credential12 []byte

// MakeCredential12 does the privacy CA's part (TPM Main Part 1 §16): it wraps a
// session key of 16 or 32 octets so that only the TPM with that endorsement key
// unwraps it, and only if it holds the identity key as well.
//
// TPM_ASYM_CA_CONTENTS (Part 2 §12.8): TPM_SYMMETRIC_KEY (u32 algorithm
// | u16 scheme | u16 n, key) | SHA-1 of the identity's TPM_PUBKEY.
func MakeCredential12(ek *rsa.PublicKey, identityPubkey, key []byte) (Credential12, error) {
	alg := map[int]uint32{16: algAES128, 32: algAES256}[len(key)]
	if alg == 0 {
		return nil, fmt.Errorf("make credential: a session key of %d octets is not an AES key of 16 or 32", len(key))
	}
	b := wire.AppendU16(wire.AppendU32(nil, alg), encSymCBC)
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

// ActivateIdentity unwraps the session key of a credential for the identity key
// in a blob (TPM Main Part 3 §15.2).
func (t *V12) ActivateIdentity(ctx context.Context, blob []byte, c Credential12, owner [20]byte) (key []byte, err error) {
	err = t.do(ctx, "activate identity", func(s *session12) error {
		const name = "TPM_ActivateIdentity"
		handle, err := s.loadKey(blob)
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
			s.drop(err, id, own)
			return err
		}
		r := wire.NewReader(name+" reply", out)
		r.Skip(4 + 2)
		key = bytes.Clone(r.Bytes(int(r.U16())))
		if err := r.Finish(); err != nil {
			return replyError(name, err)
		}
		return nil
	})
	return key, err
}
