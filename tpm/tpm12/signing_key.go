package tpm12

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Errors of signing keys; package attest explains those that a TPM 2.0 has too.
var (
	ErrRestricted = attest.ErrRestricted
	ErrNotSigning = attest.ErrNotSigning
	ErrPassword   = attest.ErrPassword
	ErrPCRs       = attest.ErrPCRs
	// ErrScheme is returned for a signature that the key does not make: RSASSA-PSS, which
	// no TPM 1.2 makes, or one with another hash than SHA-1 by a key that is bound to it.
	ErrScheme = errors.New("a TPM 1.2 does not sign so")
)

// SigningKeyConfig says which key signs, and what authorizes that.
type SigningKeyConfig struct {
	Blob   []byte   // TPM_KEY or TPM_KEY12, a child of the storage root key
	Secret [20]byte // of the key, where it has one: see Secret
	SRK    [20]byte // of the storage root key; the zero value is the well-known secret
}

// SigningKey is a key in the TPM that signs any digest with RSASSA PKCS #1 v1.5: a
// crypto.Signer for TLS, IKE and certificate requests. A signature takes one command,
// two where the key has a secret. Close it. It is safe for concurrent use.
type SigningKey struct {
	t         *TPM
	ctx       context.Context
	public    *rsa.PublicKey
	hashes    []pcr.Hash
	handle    uint32
	authorize bool // its use needs secret
	fixed     bool // it does not migrate
	digests   bool // it takes a digest of SHA-1, not a DigestInfo

	mu     sync.Mutex // taken while the TPM is held, not before
	closed bool
	secret [nonceLen]byte
}

// digestInfos begin the DER of DigestInfo; the digest follows (RFC 8017 section 9.2).
// Weakest first.
var digestInfos = []struct {
	hash   pcr.Hash
	prefix []byte
}{
	{pcr.SHA1, []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}},
	{pcr.SHA256, []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}},
	{pcr.SHA384, []byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}},
	{pcr.SHA512, []byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}},
}

// CheckSigning says why the key does not sign digests of others.
func (k *KeyBlob) CheckSigning() error {
	switch {
	case k.Usage == KeyUsageIdentity:
		return ErrRestricted
	case k.Usage != KeyUsageSigning && k.Usage != KeyUsageLegacy:
		return fmt.Errorf("%w: its usage is 0x%04x", ErrNotSigning, k.Usage)
	case k.SigScheme != sigRSASSA && k.SigScheme != sigDER:
		return fmt.Errorf("%w: its signature scheme is %d, neither RSASSA PKCS1 v1.5 with SHA-1 (%d) nor with a DigestInfo (%d)", ErrNotSigning, k.SigScheme, sigRSASSA, sigDER)
	}
	_, err := k.PublicKey()
	return err
}

// Secured reports whether the key is used with its secret.
func (k *KeyBlob) Secured() bool { return k.AuthDataUsage != authNever }

// SignatureHashes returns the hashes of the signatures that the key makes, weakest
// first: SHA-1 alone for a key of TPM_SS_RSASSAPKCS1v15_SHA1.
func (k *KeyBlob) SignatureHashes() (all []pcr.Hash) {
	if k.SigScheme == sigRSASSA {
		return []pcr.Hash{pcr.SHA1}
	}
	for _, d := range digestInfos {
		if len(d.prefix)+d.hash.Size()+11 <= len(k.Modulus) { // the padding of PKCS #1
			all = append(all, d.hash)
		}
	}
	return all
}

// SigningKey returns the key, loaded. ctx bounds the loading alone; life ends
// signatures that are under way. The error is ErrRestricted or ErrNotSigning for a
// key that does not sign. A wrong secret shows with the first signature.
func (t *TPM) SigningKey(ctx, life context.Context, cfg SigningKeyConfig) (*SigningKey, error) {
	b, err := ParseKeyBlob(cfg.Blob)
	if err == nil {
		err = b.CheckSigning()
	}
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	k := &SigningKey{t: t, ctx: life, secret: cfg.Secret, authorize: b.Secured(), fixed: b.Flags&keyFlagMigratable == 0, digests: b.SigScheme == sigRSASSA, hashes: b.SignatureHashes()}
	if k.public, err = b.PublicKey(); err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	err = t.do(ctx, "load key", func(s *session) (err error) {
		k.handle, err = s.loadKey(cfg.Blob, cfg.SRK)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Public returns an *rsa.PublicKey.
func (k *SigningKey) Public() crypto.PublicKey { return k.public }

// Hashes returns the hashes that it signs with, weakest first.
func (k *SigningKey) Hashes() []pcr.Hash { return k.hashes }

// Guarded reports whether wrong secrets of the key count against the TPM's protection
// from guessing, which locks it.
func (k *SigningKey) Guarded() bool { return k.authorize }

// FixedTPM reports whether the key never leaves the TPM.
func (k *SigningKey) FixedTPM() bool { return k.fixed }

// Sign signs a digest with RSASSA PKCS #1 v1.5. The error is ErrScheme where opts ask
// for RSASSA-PSS, or for a hash that the key does not sign.
func (k *SigningKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(k.ctx, digest, opts)
}

// SignContext is Sign, which ends with ctx.
func (k *SigningKey) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	area, err := k.area(digest, opts)
	if err != nil {
		return nil, err
	}
	err = k.t.do(ctx, "sign", func(s *session) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.closed {
			return fmt.Errorf("%w: it was closed", attest.ErrNoKey) // its handle may be another key's
		}
		sig, err = k.sign(s, area)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sig, nil
}

// area returns what TPM_Sign is given for a digest.
func (k *SigningKey) area(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss {
		return nil, fmt.Errorf("%w: RSASSA-PSS is not among its schemes", ErrScheme)
	}
	for _, d := range digestInfos {
		if d.hash.Crypto() != opts.HashFunc() || len(digest) != d.hash.Size() {
			continue
		}
		for _, h := range k.hashes {
			switch {
			case h != d.hash:
			case k.digests:
				return digest, nil
			default:
				return append(bytes.Clone(d.prefix), digest...), nil
			}
		}
		if k.digests {
			return nil, fmt.Errorf("%w: the key signs SHA-1 only, not %v", ErrScheme, d.hash)
		}
		return nil, fmt.Errorf("%w: the key is too short for %v", ErrScheme, d.hash)
	}
	return nil, fmt.Errorf("sign with a TPM's key: %d octets are no digest of %v", len(digest), opts.HashFunc())
}

// sign sends TPM_Sign (TPM Main Part 3 section 13.5).
func (k *SigningKey) sign(s *session, area []byte) ([]byte, error) {
	const name = "TPM_Sign"
	var auths []*auth
	if k.authorize {
		a, err := s.oiap(k.secret[:])
		if err != nil {
			return nil, err
		}
		auths = []*auth{a}
	}
	params, err := wire.AppendVec32(nil, area)
	if err != nil {
		return nil, err
	}
	_, out, err := s.run(name, ordSign, wire.AppendU32(nil, k.handle), params, 0, auths...)
	if err != nil {
		s.endSessions(err, auths...)
		return nil, wrongPassword(err)
	}
	sig, err := outVec(name, out)
	if err == nil && len(sig) != k.public.Size() {
		err = command.ReplyError(name, wire.ErrLength)
	}
	return sig, err
}

// wrongPassword returns the error of a command that the key's secret authorized: there
// TPM_AUTHFAIL is about that one, not about the storage root key's.
func wrongPassword(err error) error {
	re := new(command.ResponseError)
	if !errors.As(err, &re) || re.Code != rcAuthFail {
		return err
	}
	e := *re
	e.Text, e.Cause = "the password is wrong", ErrPassword
	return &e
}

// Close takes the key out of the TPM and forgets its secret. The TPM stays open.
func (k *SigningKey) Close() error {
	return k.t.do(context.Background(), "unload key", func(s *session) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.closed {
			return nil
		}
		k.closed = true
		clear(k.secret[:])
		s.flush(k.handle, rtKey)
		return nil
	})
}
