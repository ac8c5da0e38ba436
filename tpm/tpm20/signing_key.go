package tpm20

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// WrappedKey is a key outside the TPM, which only that TPM can use: what a file of
// package keyfile holds.
type WrappedKey struct {
	Public  []byte // TPM2B_PUBLIC
	Private []byte // TPM2B_PRIVATE
	// Parent is a persistent handle, or a hierarchy (0x40000001 is the owner's), whose
	// primary storage key is made of the template of the key files' specification: ECC
	// P-256 with SHA-256 and AES-128.
	Parent uint32
	// EmptyAuth: the key has no password.
	EmptyAuth bool
	Policy    []PolicyCommand
}

// SigningKeyConfig says which key signs, and what authorizes that.
type SigningKeyConfig struct {
	Handle   uint32      // of a persistent key; 0: Wrapped
	Wrapped  *WrappedKey // loaded for as long as the SigningKey is open
	Password []byte      // of the key
	Auth     Auth        // of the parent's hierarchy
}

// SigningKey is a key in the TPM that signs any digest: a
// crypto.Signer for TLS, IKE and certificate requests. A signature takes one command,
// three and more where a policy binds the key and Prepare was not called. Close it. It
// is safe for concurrent use.
type SigningKey struct {
	t        *TPM
	ctx      context.Context
	key      *publicKey
	handle   tpm2.TPMHandle
	password []byte
	policy   []PolicyCommand
	hashes   []pcr.Hash // that the TPM has

	mu      sync.Mutex // taken while the TPM is held, not before
	closed  bool
	loaded  *object      // nil for a persistent key
	session tpm2.Session // in which the policy was run, for the next signature; nil = none
}

// Errors of signing keys; package attest explains those that a TPM 1.2 has too.
var (
	ErrRestricted = attest.ErrRestricted
	ErrNotSigning = attest.ErrNotSigning
	ErrPassword   = attest.ErrPassword
	ErrPCRs       = attest.ErrPCRs
	// ErrSaltLength is returned where the TPM made a RSASSA-PSS signature with another
	// salt than was asked for, which the other side would refuse.
	ErrSaltLength = errors.New("the TPM chose another length for the salt of RSASSA-PSS")
)

// SigningKey returns the key, loaded. ctx bounds the loading alone; life ends
// signatures that are under way.
func (t *TPM) SigningKey(ctx, life context.Context, cfg SigningKeyConfig) (key *SigningKey, err error) {
	k := &SigningKey{t: t, ctx: life, password: bytes.Clone(cfg.Password), handle: tpm2.TPMHandle(cfg.Handle)}
	err = t.do(ctx, "load key", func(s *session) error {
		if cfg.Wrapped == nil {
			if k.key, err = s.readPublic(cfg.Handle); err != nil {
				return err
			}
		} else {
			k.policy = cfg.Wrapped.Policy
			if k.loaded, err = s.load(cfg.Wrapped, cfg.Auth); err != nil {
				return err
			}
			k.handle, k.key = k.loaded.handle, k.loaded.pub
		}
		if k.hashes, err = s.hashes(); err == nil {
			err = k.key.signs()
		}
		if err != nil && k.loaded != nil {
			s.flush(k.loaded)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// load loads a wrapped key under its parent.
func (s *session) load(w *WrappedKey, auth Auth) (o *object, err error) {
	if len(w.Policy) > maxPolicy {
		return nil, fmt.Errorf("a policy of %d commands, more than %d", len(w.Policy), maxPolicy)
	}
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](w.Public)
	if err != nil {
		return nil, fmt.Errorf("public part: %w", err)
	}
	area, err := public.Contents()
	if err != nil {
		return nil, fmt.Errorf("public part: %w", err)
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](w.Private)
	if err != nil {
		return nil, fmt.Errorf("private part: %w", err)
	}
	pub, err := newPublicKey(area)
	if err != nil {
		return nil, err
	}
	parent, err := s.storageKey(w.Parent, auth)
	if err != nil {
		return nil, err
	}
	defer s.flush(parent)
	rsp, err := tpm2.Load{ParentHandle: withPassword(parent.handle, parent.pub.name, nil), InPrivate: *private, InPublic: *public}.Execute(s)
	if err != nil {
		return nil, err
	}
	pub.name = bytes.Clone(rsp.Name.Buffer)
	return &object{handle: rsp.ObjectHandle, pub: pub, transient: true}, nil
}

// storageKey returns the parent of wrapped keys: a persistent one, or the primary
// key of a hierarchy. The caller flushes it.
func (s *session) storageKey(parent uint32, auth Auth) (*object, error) {
	password := auth.Owner
	switch h := tpm2.TPMHandle(parent); {
	case parent>>24 == 0x81:
		k, err := s.readPublic(parent)
		if err != nil {
			return nil, err
		}
		return &object{handle: h, pub: k}, nil
	case h == tpm2.TPMRHEndorsement:
		password = auth.Endorsement
	case h == tpm2.TPMRHOwner, h == tpm2.TPMRHNull:
	default:
		return nil, fmt.Errorf("%w: the key's parent 0x%08x is neither persistent nor a hierarchy", attest.ErrNoKey, parent)
	}
	rsp, err := tpm2.CreatePrimary{
		PrimaryHandle: withPassword(tpm2.TPMHandle(parent), nil, password), InPublic: tpm2.New2B(storageKeyTemplate()),
	}.Execute(s)
	if err != nil {
		return nil, fmt.Errorf("primary storage key: %w", err)
	}
	return &object{handle: rsp.ObjectHandle, pub: &publicKey{name: bytes.Clone(rsp.Name.Buffer)}, transient: true}, nil
}

// storageKeyTemplate is the template H-2 with empty unique fields (TCG EK
// Credential Profile section B.4.5) for storage, as the specification of key files
// has it.
func storageKeyTemplate() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{
				Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
				Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
			},
			CurveID: tpm2.TPMECCNistP256,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}),
	}
}

// Public returns an *rsa.PublicKey or an *ecdsa.PublicKey.
func (k *SigningKey) Public() crypto.PublicKey { return k.key.key }

// Name returns the TPM's name of the key: TPM2B_NAME without its length.
func (k *SigningKey) Name() []byte { return bytes.Clone(k.key.name) }

// Handle returns where the key is in the TPM, until it is closed.
func (k *SigningKey) Handle() uint32 { return uint32(k.handle) }

// Sign signs a digest: RSASSA, or RSASSA-PSS where opts is *rsa.PSSOptions, or ECDSA
// in the encoding of X.509. The TPM decides on the length of PSS's salt: where it is
// not the one of opts the error is ErrSaltLength.
func (k *SigningKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(k.ctx, digest, opts)
}

// SignContext is Sign, which ends with ctx.
func (k *SigningKey) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	hash := hashOf(opts.HashFunc())
	if hash == 0 || len(digest) != hash.Size() {
		return nil, fmt.Errorf("sign with a TPM's key: %d octets are no digest of %v", len(digest), opts.HashFunc())
	}
	pss, isPSS := opts.(*rsa.PSSOptions)
	scheme := RSASSA
	switch {
	case k.key.area.Type == tpm2.TPMAlgECC:
		scheme = ECDSA
	case isPSS:
		scheme = RSAPSS
	}
	err = k.t.do(ctx, "sign", func(s *session) error {
		sig, err = k.sign(s, digest, hash, scheme)
		return err
	})
	if err != nil {
		return nil, err
	}
	switch scheme {
	case ECDSA:
		return ecdsaASN1(sig)
	case RSAPSS:
		want := pss.SaltLength
		if want == rsa.PSSSaltLengthEqualsHash {
			want = hash.Size()
		}
		if rsa.VerifyPSS(k.key.key.(*rsa.PublicKey), hash.Crypto(), digest, sig, &rsa.PSSOptions{SaltLength: max(want, rsa.PSSSaltLengthAuto)}) != nil {
			return nil, ErrSaltLength
		}
	}
	return sig, nil
}

// Prepare runs the policy that binds the key, if any does, so that the next
// signature takes one command. Where PCRs have other values than the key is bound to
// the error is ErrPCRs.
func (k *SigningKey) Prepare(ctx context.Context) error {
	if len(k.policy) == 0 {
		return nil
	}
	return k.t.do(ctx, "authorize key", func(s *session) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.closed || k.session != nil {
			return nil
		}
		var err error
		k.session, err = s.startPolicy(k.key.area.NameAlg, k.policy, k.password)
		return err
	})
}

// sign sends TPM2_Sign. A policy that was run too early, before a PCR was extended,
// is run once more.
func (k *SigningKey) sign(s *session, digest []byte, hash pcr.Hash, scheme Scheme) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, fmt.Errorf("%w: it was closed", attest.ErrNoKey) // its handle may be another key's
	}
	early := k.session != nil
	sig, err := k.signOnce(s, digest, hash, scheme)
	re := new(command.ResponseError)
	if early && errors.As(err, &re) && re.Name == "TPM_RC_PCR_CHANGED" {
		sig, err = k.signOnce(s, digest, hash, scheme)
	}
	return sig, err
}

func (k *SigningKey) signOnce(s *session, digest []byte, hash pcr.Hash, scheme Scheme) (sig []byte, err error) {
	alg := tpm2.TPMAlgID(scheme)
	use := withPassword(k.handle, k.key.name, k.password)
	if len(k.policy) > 0 {
		if use.Auth, k.session = k.session, nil; use.Auth == nil {
			if use.Auth, err = s.startPolicy(k.key.area.NameAlg, k.policy, k.password); err != nil {
				return nil, err
			}
		}
		defer func() {
			if err != nil {
				s.flushPolicy(use.Auth)
			}
		}()
	}
	rsp, err := tpm2.Sign{
		KeyHandle: use,
		Digest:    tpm2.TPM2BDigest{Buffer: digest},
		InScheme: tpm2.TPMTSigScheme{
			Scheme: alg, Details: tpm2.NewTPMUSigScheme(alg, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgID(hash)}),
		},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
	}.Execute(s)
	if err != nil {
		return nil, err
	}
	if sig, _, err = signature(&rsp.Signature, k.key.key); err != nil {
		return nil, command.ReplyError("TPM2_Sign", err)
	}
	return sig, nil
}

// Close takes the key out of the TPM, where it was loaded, and forgets its
// password. The TPM stays open.
func (k *SigningKey) Close() error {
	return k.t.do(context.Background(), "unload key", func(s *session) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.closed {
			return nil
		}
		k.closed = true
		clear(k.password)
		s.flushPolicy(k.session)
		if k.loaded != nil {
			s.flush(k.loaded)
		}
		return nil
	})
}

// Persist stores the key at a persistent handle, beside its file; 0 takes the first
// free one from FirstAKHandle. It returns the handle.
func (k *SigningKey) Persist(ctx context.Context, handle uint32, auth Auth) (uint32, error) {
	err := k.t.do(ctx, "make key persistent", func(s *session) error {
		free, err := s.freeHandle(handle)
		if err != nil {
			return err
		}
		handle = free
		return s.evict(k.handle, handle, auth)
	})
	return handle, err
}

// Attributes that Describe tells of a key.
type Attributes struct {
	Password bool // it may have one
	Policy   bool // its use is bound to a policy
	FixedTPM bool // it never leaves the TPM
}

// Describe returns what the key's attributes say.
func (k *SigningKey) Describe() Attributes {
	a := k.key.area.ObjectAttributes
	return Attributes{Password: !a.NoDA, Policy: !a.UserWithAuth, FixedTPM: a.FixedTPM && a.FixedParent && a.SensitiveDataOrigin}
}
