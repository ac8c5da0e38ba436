package privacyca

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm"
)

// NewRequest20 makes the request for the key at a handle of a TPM 2.0.
func NewRequest20(ctx context.Context, t *tpm.V20, handle uint32, ekType tpm.KeyType, name string, auth tpm.Auth20) (*Request, error) {
	key, err := t.Key(ctx, handle)
	if err != nil {
		return nil, err
	}
	if _, _, err := tpm.CheckAK(key.Area); err != nil {
		return nil, fmt.Errorf("key 0x%08x: no privacy CA would certify it: %w", handle, err)
	}
	r := &Request{Generation: tpm.TPM20, Area: key.Area}
	if err := r.endorse(t.EndorsementKey(ctx, ekType, auth)); err != nil {
		return nil, err
	}
	r.CSR, err = t.CreateRequest(ctx, handle, x509.CertificateRequest{Subject: pkix.Name{CommonName: name}})
	return r, err
}

// NewRequest12 makes the request for an identity of a TPM 1.2 that was made with
// the label's digest (tpm.LabelDigest without a CA's key).
func NewRequest12(ctx context.Context, t *tpm.V12, id *tpm.Identity12, label string, owner [20]byte) (*Request, error) {
	if id.Label != tpm.LabelDigest(label, nil) {
		return nil, errors.New("the identity was made with another label")
	}
	r := &Request{Generation: tpm.TPM12, Pubkey: id.Pubkey, Binding: id.Binding, Label: label}
	return r, r.endorse(t.EndorsementKey(ctx, owner))
}

func (r *Request) endorse(e *tpm.Endorsement, err error) error {
	if err != nil {
		return err
	}
	r.EKType, r.EKCertificate = e.Type, e.Certificate
	r.EK, err = x509.MarshalPKIXPublicKey(e.PublicKey)
	return err
}

// Activate20 opens an answer by a TPM 2.0 that holds the key at a handle.
func (a *Answer) Activate20(ctx context.Context, t *tpm.V20, handle uint32, auth tpm.Auth20) (*x509.Certificate, error) {
	if a.Generation != tpm.TPM20 {
		return nil, errors.New("the answer is for a TPM 1.2")
	}
	key, err := t.Key(ctx, handle)
	if err != nil {
		return nil, err
	}
	c, err := tpm.ParseCredential(wire.NewReader("credential", a.Credential))
	if err != nil {
		return nil, err
	}
	secret, err := t.ActivateCredential(ctx, handle, a.EKType, c, auth)
	if err != nil {
		return nil, err
	}
	return a.Open(secret, key.PublicKey)
}

// Activate12 opens an answer by a TPM 1.2 and the identity key in a blob.
func (a *Answer) Activate12(ctx context.Context, t *tpm.V12, blob []byte, owner [20]byte) (*x509.Certificate, error) {
	if a.Generation != tpm.TPM12 {
		return nil, errors.New("the answer is for a TPM 2.0")
	}
	k, err := tpm.ParseKeyBlob(wire.NewReader("AIK blob", blob))
	if err != nil {
		return nil, err
	}
	key, err := k.PublicKey()
	if err != nil {
		return nil, err
	}
	secret, err := t.ActivateIdentity(ctx, blob, a.Credential, owner)
	if err != nil {
		return nil, err
	}
	return a.Open(secret, key)
}
