package tpmkey

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Key is a private key in the TPM.
type Key struct {
	keys *Keys
	cfg  tpm20.SigningKeyConfig
	blob []byte // of a TPM 1.2's key, whose password is in cfg; nil = it is one of a TPM 2.0

	name, file    string
	section       string     // of the configuration that names it; "" = none does
	pos, pinPos   config.Pos // of the section, of the password in it
	pin, needsPIN bool       // a password is configured; the file says that there is one
	pinName       string     // of the setting of the password
	public        crypto.PublicKey
	schemes       []tpm20.SignatureScheme
	guarded       bool
}

// Public returns an *rsa.PublicKey or an *ecdsa.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Schemes returns how the key signs on its TPM.
func (k *Key) Schemes() []tpm20.SignatureScheme { return k.schemes }

// String names the key.
func (k *Key) String() string {
	if k.file != "" {
		return "the TPM's " + k.name + " " + k.file
	}
	return "the TPM's " + k.name
}

// examine reads the public half of the key and how it signs. A file's key is loaded
// for that: so a file of another TPM shows.
func (k *Key) examine() error {
	if err := k.missingPIN(); err != nil {
		return err
	}
	err := k.keys.use(context.Background(), func(ctx context.Context, t tpm.TPM) error {
		if len(k.keys.loaded) >= maxKeys {
			k.keys.unload()
		}
		s, err := k.signingKey(ctx, t)
		if err != nil {
			return err
		}
		k.public, k.schemes, k.guarded = s.Public(), s.Schemes(), s.Guarded()
		k.keys.loaded[k] = s
		k.keys.closeAfter(k.keys.keep.unused)
		return nil
	})
	return k.failed(err)
}

// missingPIN returns the error of a key that needs a password where none is configured.
func (k *Key) missingPIN() error {
	if k.needsPIN && !k.pin {
		return k.failed(tpm20.ErrPassword)
	}
	return nil
}

// load loads the key and runs its policy. The caller has the turn.
func (k *Key) load(ctx context.Context, t tpm.TPM) (s signingKey, err error) {
	if s = k.keys.loaded[k]; s == nil {
		if len(k.keys.loaded) >= maxKeys {
			k.keys.unload()
		}
		if s, err = k.signingKey(ctx, t); err != nil {
			return nil, err
		}
		k.keys.loaded[k] = s
	}
	return s, s.Prepare(ctx)
}

// Load begins to load the key, so that a signature takes one command. What fails shows
// with the signature.
func (k *Key) Load(ctx context.Context) {
	go func() {
		err := k.keys.use(ctx, func(ctx context.Context, t tpm.TPM) error {
			_, err := k.load(ctx, t)
			k.keys.closeAfter(k.keys.keep.unused)
			return err
		})
		if err != nil && ctx.Err() == nil {
			log.Infof(k.keys.log, "loading %s failed: %v", k, err)
		}
	}()
}

// Sign implements crypto.Signer. It takes 20 s at most.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.sign(context.Background(), digest, opts)
}

func (k *Key) sign(ctx context.Context, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	if err := k.keys.refusedBefore(k); err != nil {
		return nil, err // each try brings the TPM closer to its lockout
	}
	err = k.keys.use(ctx, func(ctx context.Context, t tpm.TPM) error {
		s, err := k.load(ctx, t)
		if err == nil {
			sig, err = s.SignContext(ctx, digest, opts)
		}
		k.keys.closeAfter(k.keys.keep.signed)
		return err
	})
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	err = k.failed(err)
	if errors.Is(err, tpm20.ErrPassword) {
		k.keys.refuse(k, err)
	}
	return sig, err
}

// Check signs a digest of nothing in particular, as a check of the password and the
// PCRs. Where a wrong password would lock the TPM it signs nothing and returns
// ErrUntried.
func (k *Key) Check(ctx context.Context) error {
	if k.guarded {
		var l tpm20.Lockout
		err := k.keys.use(ctx, func(ctx context.Context, t tpm.TPM) (err error) {
			l, err = lockout(ctx, t)
			k.keys.closeAfter(k.keys.keep.unused)
			return err
		})
		switch {
		case err != nil:
			return k.failed(err)
		case l.Locked:
			return k.failed(tpm.ErrLocked)
		case l.Left < 2:
			return k.failed(ErrUntried)
		}
	}
	if len(k.schemes) == 0 {
		return k.failed(errNoScheme)
	}
	last := k.schemes[len(k.schemes)-1]
	opts := crypto.SignerOpts(last.Hash.Crypto())
	if last.Scheme == tpm20.RSAPSS {
		opts = &rsa.PSSOptions{Hash: last.Hash.Crypto(), SaltLength: rsa.PSSSaltLengthEqualsHash}
	}
	_, err := k.sign(ctx, last.Hash.Sum([]byte("tnc config check")), opts)
	return err
}

// ErrUntried is returned for a key whose password may be right.
var ErrUntried = errors.New("its password was not tried: one more wrong one would lock the TPM")

var errNoScheme = fmt.Errorf("%w: its scheme is none of RSASSA, RSA-PSS and ECDSA", tpm20.ErrNotSigning)

// refuse notes that the TPM refused the password of a key.
func (k *Keys) refuse(key *Key, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused[key.String()] = err
}

func (k *Keys) refusedBefore(key *Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refused[key.String()]
}

// bound is a key whose signatures end with a context.
type bound struct {
	*Key
	ctx context.Context
}

// Sign implements crypto.Signer.
func (b bound) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return b.sign(b.ctx, digest, opts)
}

// Bind returns the key for one connection, and begins to load it: its signatures end
// with ctx. Keys that are not in a TPM are returned as they are.
func Bind(ctx context.Context, key crypto.Signer) crypto.Signer {
	k, ok := key.(*Key)
	if !ok {
		return key
	}
	k.Load(ctx)
	return bound{k, ctx}
}
