package tpmkey

import (
	"context"
	"crypto"
	"errors"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Errors of a key of one generation where the TPM is of the other one.
var (
	// errGeneration is returned for what a TPM 1.2 does not have.
	errGeneration = errors.New("the TPM is one of version 1.2, whose keys are in files alone")
	errFile20     = errors.New("the key is one of a TPM 2.0, the TPM is one of version 1.2")
	errFile12     = errors.New("the key is one of a TPM 1.2, the TPM is one of version 2.0")
)

// signingKey is a loaded key: a *tpm20.SigningKey or a key12.
type signingKey interface {
	Public() crypto.PublicKey
	Schemes() []tpm20.SignatureScheme
	Guarded() bool
	Prepare(ctx context.Context) error
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	Close() error
}

// key12 is a loaded key of a TPM 1.2.
type key12 struct{ *tpm12.SigningKey }

// Schemes returns RSASSA with each hash of the key.
func (k key12) Schemes() (all []tpm20.SignatureScheme) {
	for _, h := range k.Hashes() {
		all = append(all, tpm20.SignatureScheme{Scheme: tpm20.RSASSA, Hash: h})
	}
	return all
}

// Prepare does nothing: a TPM 1.2 has no policies.
func (key12) Prepare(context.Context) error { return nil }

// signingKey loads the key.
func (k *Key) signingKey(ctx context.Context, t tpm.TPM) (signingKey, error) {
	switch t := t.(type) {
	case *tpm20.TPM:
		if k.blob != nil {
			return nil, errFile12
		}
		s, err := t.SigningKey(ctx, context.Background(), k.cfg)
		if err != nil {
			return nil, err
		}
		return s, nil
	case *tpm12.TPM:
		switch {
		case k.blob != nil:
		case k.cfg.Wrapped != nil:
			return nil, errFile20
		default:
			return nil, errGeneration
		}
		s, err := t.SigningKey(ctx, context.Background(), tpm12.SigningKeyConfig{Blob: k.blob, Secret: tpm12.Secret(k.cfg.Password)})
		if err != nil {
			return nil, err
		}
		return key12{s}, nil
	}
	return nil, errGeneration
}

// lockout returns how many wrong passwords the TPM still takes.
func lockout(ctx context.Context, t tpm.TPM) (tpm20.Lockout, error) {
	switch t := t.(type) {
	case *tpm20.TPM:
		return t.Lockout(ctx)
	case *tpm12.TPM:
		l, err := t.Lockout(ctx)
		return tpm20.Lockout{Locked: l.Locked, Left: l.Left}, err
	}
	return tpm20.Lockout{}, errGeneration
}

// readNV reads an NV index of a TPM 2.0.
func readNV(ctx context.Context, t tpm.TPM, index uint32) ([]byte, error) {
	p, ok := t.(*tpm20.TPM)
	if !ok {
		return nil, errGeneration
	}
	return p.ReadNV(ctx, index, tpm20.Auth{})
}

// blobKey returns the key of a file "TSS KEY BLOB". Without a password in the
// configuration the key's is the well-known secret.
func (k *Keys) blobKey(file string, content []byte, of *swanctl.PrivateKey) (crypto.Signer, error) {
	blob, err := keyfile.ParseBlob(content)
	if err != nil {
		return nil, err
	}
	key := &Key{keys: k, name: "key", file: file, pinName: "secret", blob: blob}
	key.namedBy(of)
	b, err := tpm12.ParseKeyBlob(blob)
	if err == nil {
		err = b.CheckSigning()
	}
	if err != nil {
		return nil, key.failed(err)
	}
	return key, key.examine()
}
