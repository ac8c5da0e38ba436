package key

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/tpm12"
)

// opened12 is a key of a TPM 1.2, loaded.
type opened12 struct {
	*tpm12.SigningKey
	tpm  *tpm12.TPM
	spki []byte
}

func (o *opened12) close() { _ = errors.Join(o.SigningKey.Close(), o.tpm.Close()) }

// isBlob returns the content of the file that name names where it is a key of a TPM
// 1.2; nil for other keys.
func isBlob(name string) []byte {
	b, err := usage.ReadFile(name)
	if err != nil || !keyfile.IsBlob(b) {
		return nil
	}
	return b
}

// open12 loads the key of a file.
func (k *Key) open12(ctx context.Context, name string, file []byte) (*opened12, error) {
	blob, err := keyfile.ParseBlob(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	password, err := k.password()
	if err != nil {
		return nil, err
	}
	t, err := k.TPM12(ctx)
	if err != nil {
		return nil, err
	}
	s, err := t.SigningKey(ctx, ctx, tpm12.SigningKeyConfig{Blob: blob, Secret: tpm12.Secret(password)})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	o := &opened12{SigningKey: s, tpm: t}
	if o.spki, err = marshalPublic(s); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// shown describes the key.
func (o *opened12) shown(file string) *Shown {
	return &Shown{
		File: file, Key: aik.KeyName(o.Public()), KeyID: aik.KeyID(o.spki), Password: o.Guarded(), FixedTPM: o.FixedTPM(),
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: o.spki})),
	}
}

// run12 makes a key in a TPM 1.2 and writes its file.
func (o *Create) run12(ctx context.Context, password []byte) (*Shown, error) {
	if o.Type != "rsa" || o.PCRs != "" || o.Parent != "" || o.Persist != "" {
		return nil, errors.New("a TPM 1.2 makes RSA keys in files alone: do without --type ecc, --pcrs, --parent and --persist")
	}
	t, err := o.TPM12(ctx)
	if err != nil {
		return nil, err
	}
	blob, err := t.CreateSigningKey(ctx, tpm12.SigningKeyRequest{Bits: o.Bits, Password: password})
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, err
	}
	file, err := keyfile.MarshalBlob(blob)
	if err != nil {
		return nil, err
	}
	if err := aik.WriteNew(o.Out, file, 0o600, o.Replace); err != nil {
		return nil, err
	}
	k, err := o.open12(ctx, o.Out, file)
	if err != nil {
		return nil, err
	}
	defer k.close()
	return k.shown(o.Out), nil
}

// csr12 returns the PKCS #10 request of the key of a file.
func (k *Key) csr12(ctx context.Context, name string, file []byte, template *x509.CertificateRequest) ([]byte, error) {
	o, err := k.open12(ctx, name, file)
	if err != nil {
		return nil, err
	}
	defer o.close()
	return requestOf(o.SigningKey, template)
}
