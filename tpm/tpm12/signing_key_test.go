package tpm12_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

var everyHash = []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512}

// Keys of each kind sign with the hashes that they are for, and nothing else.
func TestSigningKeys(t *testing.T) {
	_, p := tpmtest.Open12(t)
	for name, c := range map[string]struct {
		req    tpm12.SigningKeyRequest
		hashes []pcr.Hash
	}{
		"signing":    {tpm12.SigningKeyRequest{Bits: 1024}, everyHash},
		"2048 bits":  {tpm12.SigningKeyRequest{}, everyHash},
		"password":   {tpm12.SigningKeyRequest{Bits: 1024, Password: []byte("pin")}, everyHash},
		"SHA-1 only": {tpm12.SigningKeyRequest{Bits: 1024, SHA1: true, Password: []byte("pin")}, everyHash[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			blob, err := p.CreateSigningKey(t.Context(), c.req)
			require.NoError(t, err)
			k, err := p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: blob, Secret: tpm12.Secret(c.req.Password)})
			require.NoError(t, err)
			require.Equal(t, c.hashes, k.Hashes())
			require.Equal(t, len(c.req.Password) > 0, k.Guarded())
			for i, h := range everyHash {
				digest := h.Sum([]byte("message"))
				sig, err := k.Sign(rand.Reader, digest, h.Crypto())
				if i >= len(c.hashes) {
					require.ErrorIs(t, err, tpm12.ErrScheme)
					require.ErrorContains(t, err, "the key signs SHA-1 only")
					continue
				}
				require.NoError(t, err)
				require.NoError(t, rsa.VerifyPKCS1v15(k.Public().(*rsa.PublicKey), h.Crypto(), digest, sig))
			}
			_, err = k.Sign(rand.Reader, make([]byte, 20), &rsa.PSSOptions{Hash: crypto.SHA1})
			require.ErrorIs(t, err, tpm12.ErrScheme)
			_, err = k.Sign(rand.Reader, make([]byte, 19), crypto.SHA1)
			require.ErrorContains(t, err, "19 octets are no digest")
			require.NoError(t, k.Close())
			require.NoError(t, k.Close())
			_, err = k.Sign(rand.Reader, make([]byte, 20), crypto.SHA1)
			require.ErrorIs(t, err, attest.ErrNoKey)
		})
	}
}

// Keys and sessions do not stay in the TPM, whose room for them is small.
func TestSigningKeysLeaveNothing(t *testing.T) {
	_, p := tpmtest.Open12(t)
	blob, err := p.CreateSigningKey(t.Context(), tpm12.SigningKeyRequest{Bits: 1024, Password: []byte("pin")})
	require.NoError(t, err)
	for range 40 {
		k, err := p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: blob, Secret: tpm12.Secret([]byte("pin"))})
		require.NoError(t, err)
		_, err = k.Sign(rand.Reader, make([]byte, 20), crypto.SHA1)
		require.NoError(t, err)
		require.NoError(t, k.Close())
	}
}

// What keeps a key from signing is said in its own error.
func TestKeysThatDoNotSign(t *testing.T) {
	_, p := tpmtest.Open12(t)
	blob, err := p.CreateSigningKey(t.Context(), tpm12.SigningKeyRequest{Bits: 1024, Password: []byte("pin")})
	require.NoError(t, err)
	k, err := p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: blob, Secret: tpm12.Secret([]byte("wrong"))})
	require.NoError(t, err)
	_, err = k.Sign(rand.Reader, make([]byte, 20), crypto.SHA1)
	require.ErrorIs(t, err, tpm12.ErrPassword)
	var re *command.ResponseError
	require.ErrorAs(t, err, &re)
	require.Equal(t, "TPM_AUTHFAIL", re.Name)
	require.NotContains(t, err.Error(), "SRK")
	require.NoError(t, k.Close())

	_, err = p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: blob, SRK: tpm12.Secret([]byte("another"))})
	require.ErrorContains(t, err, "the SRK's must be the well-known one")
	require.NotErrorIs(t, err, tpm12.ErrPassword)
	_, err = p.CreateSigningKey(t.Context(), tpm12.SigningKeyRequest{Bits: 512})
	require.ErrorContains(t, err, "no RSA key of 512 bits")

	id, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm12.IdentityTemplate{})
	require.NoError(t, err)
	_, err = p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: id.Blob})
	require.ErrorIs(t, err, tpm12.ErrRestricted)
	for name, spoil := range map[string]func(*tpm12.KeyBlob){
		"usage":  func(k *tpm12.KeyBlob) { k.Usage = tpm12.KeyUsageStorage },
		"scheme": func(k *tpm12.KeyBlob) { k.SigScheme = 4 },
	} {
		b, err := tpm12.ParseKeyBlob(blob)
		require.NoError(t, err)
		spoil(&b)
		changed, err := b.AppendBinary(nil)
		require.NoError(t, err)
		_, err = p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: changed})
		require.ErrorIs(t, err, tpm12.ErrNotSigning, name)
	}
	legacy, err := tpm12.ParseKeyBlob(blob)
	require.NoError(t, err)
	legacy.Usage = tpm12.KeyUsageLegacy
	require.NoError(t, legacy.CheckSigning(), "swtpm makes none")

	_, other := tpmtest.Open12(t)
	_, err = other.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: blob})
	require.ErrorAs(t, err, &re, "another TPM's")
	assert.Equal(t, "TPM_DECRYPT_ERROR", re.Name)
}
