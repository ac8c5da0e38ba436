package tpm12_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/tpm12"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// The 559 octets that strongSwan 4.6 logged when it loaded an AIK blob.
func seedBlob(t testing.TB) []byte {
	t.Helper()
	dump, err := os.ReadFile("testdata/aik_blob.dump")
	require.NoError(t, err)
	var b []byte
	for _, m := range regexp.MustCompile(`(?m)^ *[0-9]+: ((?:[0-9A-F]{2} )+)`).FindAllStringSubmatch(string(dump), -1) {
		b = append(b, unhex(t, m[1])...)
	}
	require.Len(t, b, 559)
	return b
}

func TestKeyBlobOfTheSeed(t *testing.T) {
	b := seedBlob(t)
	k, err := tpm12.ParseKeyBlob(b)
	require.NoError(t, err)
	assert.Equal(t, [4]byte{1, 1, 0, 0}, k.Version)
	assert.False(t, k.Is12())
	assert.EqualValues(t, tpm12.KeyUsageIdentity, k.Usage)
	assert.EqualValues(t, 4, k.Flags, "volatile")
	assert.EqualValues(t, 0, k.AuthDataUsage, "TPM_AUTH_NEVER")
	assert.EqualValues(t, 1, k.Algorithm, "TPM_ALG_RSA")
	assert.EqualValues(t, 1, k.EncScheme, "TPM_ES_NONE")
	assert.EqualValues(t, 2, k.SigScheme, "TPM_SS_RSASSAPKCS1v15_SHA1")
	assert.EqualValues(t, 2048, k.KeyLength)
	assert.EqualValues(t, 2, k.NumPrimes)
	assert.Empty(t, k.Exponent)
	assert.Empty(t, k.PCRInfo)
	assert.Len(t, k.Modulus, 256)
	assert.Equal(t, unhex(t, "E91C5F575B735F35"), k.Modulus[:8])
	assert.Equal(t, unhex(t, "7D24826E2B"), k.Modulus[251:])
	assert.Len(t, k.EncData, 256)
	assert.Equal(t, unhex(t, "223522CB61"), k.EncData[:5])
	assert.Equal(t, unhex(t, "F0777AAB"), k.EncData[252:])
	require.NoError(t, k.CheckAIK())
	pub, err := k.PublicKey()
	require.NoError(t, err)
	assert.Equal(t, 65537, pub.E)
	assert.Equal(t, 2048, pub.N.BitLen())

	out, err := k.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, b, out)
	pubkey := k.Pubkey()
	assert.Len(t, pubkey, 284)
	again, err := tpm12.ParsePubkey(pubkey)
	require.NoError(t, err)
	assert.Equal(t, pubkey, again.Pubkey())

	for n := range b {
		_, err := tpm12.ParseKeyBlob(b[:n])
		var de *wire.DecodeError
		assert.ErrorAs(t, err, &de, n)
	}
	for n := range pubkey {
		_, err := tpm12.ParsePubkey(pubkey[:n])
		assert.Error(t, err, n)
	}
	_, err = tpm12.ParseKeyBlob(append(bytes.Clone(b), 0))
	assert.ErrorIs(t, err, wire.ErrTrailing)
}

func TestKeyBlobsThatAreNone(t *testing.T) {
	b := seedBlob(t)
	for name, spoil := range map[string]func([]byte){
		"version":              func(b []byte) { b[0] = 2 },
		"algorithm":            func(b []byte) { b[14] = 6 },
		"key of 4 Gi bits":     func(b []byte) { copy(b[23:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"parameters of 4 GiB":  func(b []byte) { copy(b[19:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"exponent of 4 GiB":    func(b []byte) { copy(b[31:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"modulus of 4 GiB":     func(b []byte) { copy(b[39:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"private part of 2GiB": func(b []byte) { copy(b[299:], []byte{0x80, 0, 0, 0}) },
	} {
		x := bytes.Clone(b)
		spoil(x)
		_, err := tpm12.ParseKeyBlob(x)
		assert.Error(t, err, name)
	}
	// TPM_KEY12: tag and fill instead of the version
	x := bytes.Clone(b)
	copy(x, []byte{0, 0x28, 0, 0})
	k, err := tpm12.ParseKeyBlob(x)
	require.NoError(t, err)
	assert.True(t, k.Is12())
	// RSA with an even modulus, a short one, a bad exponent
	for name, spoil := range map[string]func(*tpm12.KeyBlob){
		"even":     func(k *tpm12.KeyBlob) { k.Modulus = append(bytes.Clone(k.Modulus[:255]), 2) },
		"short":    func(k *tpm12.KeyBlob) { k.Modulus = k.Modulus[:255] },
		"exponent": func(k *tpm12.KeyBlob) { k.Exponent = []byte{2} },
		"exponent of 5 octets": func(k *tpm12.KeyBlob) {
			k.Exponent = []byte{1, 0, 0, 0, 1}
		},
	} {
		k := k
		spoil(&k)
		_, err := k.PublicKey()
		assert.Error(t, err, name)
	}
	k.SigScheme = 1
	assert.ErrorIs(t, k.CheckAIK(), attest.ErrNoKey)
}

func FuzzKeyBlob(f *testing.F) {
	b := seedBlob(f)
	f.Add(b)
	f.Add(append([]byte{0, 0x28, 0, 0}, b[4:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := tpm12.ParseKeyBlob(b)
		if err != nil {
			return
		}
		out, err := k.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, out)
		if pub, err := k.PublicKey(); err == nil {
			_, err := x509.MarshalPKIXPublicKey(pub)
			require.NoError(t, err)
		}
		pubkey, err := tpm12.ParsePubkey(k.Pubkey())
		require.NoError(t, err)
		require.Equal(t, k.Modulus, pubkey.Modulus)
	})
}
