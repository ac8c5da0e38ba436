package tpm12_test

import (
	"crypto"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

const (
	daInfo  = "0037 00 0002 0005 0039 00000001 00000000 00000002 abcd"
	limited = "0038 01 0039 00000001 00000000"
)

func TestDAInfo(t *testing.T) {
	for text, want := range map[string]tpm12.Lockout{daInfo: {Left: 3}, limited: {Locked: true, Left: 2}} {
		b := unhex(t, text)
		l, err := tpm12.ParseDAInfo(b)
		require.NoError(t, err)
		require.Equal(t, want, l)
		for n := range b {
			_, err := tpm12.ParseDAInfo(b[:n])
			require.Error(t, err, n)
		}
		_, err = tpm12.ParseDAInfo(append(b, 0))
		require.Error(t, err)
	}
	for _, text := range []string{"0036 00", "0037 02 0002 0005 0039 00000001 00000000 00000000", "0037 00 0002 0005 0039 00000001 00000000 ffffffff"} {
		_, err := tpm12.ParseDAInfo(unhex(t, text))
		require.Error(t, err)
	}
}

func FuzzDAInfo(f *testing.F) {
	f.Add(unhex(f, daInfo))
	f.Add(unhex(f, limited))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := tpm12.ParseDAInfo(b); err == nil && l.Left < 0 {
			t.Fatal("negative")
		}
	})
}

// Wrong secrets count until the TPM is locked.
func TestLockout(t *testing.T) {
	_, p := tpmtest.Open12(t)
	blob, err := p.CreateSigningKey(t.Context(), tpm12.SigningKeyRequest{Bits: 1024, Password: []byte("pin")})
	require.NoError(t, err)
	before, err := p.Lockout(t.Context())
	require.NoError(t, err)
	require.False(t, before.Locked)
	k, err := p.SigningKey(t.Context(), t.Context(), tpm12.SigningKeyConfig{Blob: blob})
	require.NoError(t, err)
	for n := 1; n <= before.Left; n++ {
		_, err = k.Sign(rand.Reader, make([]byte, 20), crypto.SHA1)
		require.ErrorIs(t, err, tpm12.ErrPassword)
		after, err := p.Lockout(t.Context())
		require.NoError(t, err)
		require.Equal(t, before.Left-n, after.Left)
	}
	_, err = k.Sign(rand.Reader, make([]byte, 20), crypto.SHA1) // swtpm takes one more
	require.Error(t, err)
	_, err = k.Sign(rand.Reader, make([]byte, 20), crypto.SHA1)
	require.ErrorIs(t, err, command.ErrLocked)
	after, err := p.Lockout(t.Context())
	require.NoError(t, err)
	require.Equal(t, tpm12.Lockout{Locked: true}, after)
}
