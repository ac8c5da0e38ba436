package privacyca

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// NewRequest20 makes the request for the key at a handle of a TPM 2.0 that has the
// endorsement key e.
func NewRequest20(ctx context.Context, t *tpm20.TPM, handle uint32, e *tpm20.Endorsement, name string) (*Request, error) {
	key, err := t.Key(ctx, handle)
	if err != nil {
		return nil, err
	}
	if _, _, err := tpm20.CheckAK(key.Area); err != nil {
		return nil, fmt.Errorf("key 0x%08x: no privacy CA would certify it: %w", handle, err)
	}
	r := &Request{Generation: tpm.TPM20, Area: key.Area, EKType: e.Type, EKCertificate: e.Certificate}
	if len(e.Chain) > 0 {
		r.Chain = bytes.Join(e.Chain, nil)
	}
	if r.EK, err = x509.MarshalPKIXPublicKey(e.PublicKey); err != nil {
		return nil, err
	}
	r.CSR, err = t.CreateRequest(ctx, handle, x509.CertificateRequest{Subject: pkix.Name{CommonName: name}})
	return r, err
}

// NewRequest12 makes the request for an identity of a TPM 1.2 that was made with
// the label's digest (tpm12.LabelDigest without a CA's key).
func NewRequest12(ctx context.Context, t *tpm12.TPM, id *tpm12.Identity, label string, owner [20]byte) (*Request, error) {
	if id.Label != tpm12.LabelDigest(label, nil) {
		return nil, errors.New("the identity was made with another label")
	}
	r := &Request{Generation: tpm.TPM12, Pubkey: id.Pubkey, Binding: id.Binding, Label: label}
	e, err := t.EndorsementKey(ctx, owner)
	if err != nil {
		return nil, err
	}
	r.EKCertificate = e.Certificate
	r.EK, err = x509.MarshalPKIXPublicKey(e.PublicKey)
	return r, err
}

// Activate20 opens an answer with the TPM 2.0 that holds the key at a handle.
func (a *Answer) Activate20(ctx context.Context, t *tpm20.TPM, handle uint32, auth tpm20.Auth) (*x509.Certificate, error) {
	if a.Generation != tpm.TPM20 {
		return nil, errors.New("the answer is for a TPM 1.2")
	}
	key, err := t.Key(ctx, handle)
	if err != nil {
		return nil, err
	}
	c, err := tpm20.ParseCredential(a.Credential)
	if err != nil {
		return nil, err
	}
	secret, err := t.ActivateCredential(ctx, handle, a.EKType, c, auth)
	if err != nil {
		return nil, err
	}
	return a.Open(secret, key.PublicKey)
}

// Activate12 opens an answer with the TPM 1.2 that made the identity key in a blob.
func (a *Answer) Activate12(ctx context.Context, t *tpm12.TPM, blob []byte, owner [20]byte) (*x509.Certificate, error) {
	if a.Generation != tpm.TPM12 {
		return nil, errors.New("the answer is for a TPM 2.0")
	}
	k, err := tpm12.ParseKeyBlob(blob)
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
