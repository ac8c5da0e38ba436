package tpm12_test

import (
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// MakeIdentity, and ActivateIdentity against the
// endorsement key of swtpm_setup's certificate.
func TestActivateIdentity(t *testing.T) {
	e, _ := tpmtest.Manufacture(t, tpm.TPM12)
	p := e.Open(t).(*tpm12.TPM)
	ek, err := p.EndorsementKey(t.Context(), tpmtest.Owner12)
	require.NoError(t, err, "without owner everybody may read it")
	require.NotEmpty(t, ek.Certificate)
	require.NoError(t, p.TakeOwnership(t.Context(), tpmtest.Owner12))
	owned, err := p.EndorsementKey(t.Context(), tpmtest.Owner12)
	require.NoError(t, err, "then the owner")
	assert.Equal(t, ek, owned)
	_, err = p.EndorsementKey(t.Context(), tpm12.Secret([]byte("somebody")))
	assert.ErrorContains(t, err, "TPM_AUTHFAIL")

	id, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm12.IdentityTemplate{Label: tpm12.LabelDigest("carol", nil)})
	require.NoError(t, err)
	other, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm12.IdentityTemplate{})
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(ek.Certificate)
	require.NoError(t, err)
	public, ok := ek.PublicKey.(*rsa.PublicKey)
	require.True(t, ok)
	if k, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		require.True(t, k.Equal(public))
	}
	key := []byte("a key of AES-128")
	cred, err := tpm12.MakeCredential(public, id.Pubkey, key)
	require.NoError(t, err)
	got, err := p.ActivateIdentity(t.Context(), id.Blob, cred, tpmtest.Owner12)
	require.NoError(t, err)
	assert.Equal(t, key, got)
	_, err = p.ActivateIdentity(t.Context(), other.Blob, cred, tpmtest.Owner12)
	assert.Error(t, err, "another identity")
	_, err = p.ActivateIdentity(t.Context(), id.Blob, cred, tpm12.Secret(nil))
	assert.Error(t, err, "another owner")
	_, err = tpm12.MakeCredential(public, id.Pubkey, []byte("short"))
	assert.Error(t, err)

	bad := *id
	bad.Label[0] ^= 1
	_, err = tpm12.CheckIdentity(bad)
	assert.Error(t, err, "the binding covers the label")
}
