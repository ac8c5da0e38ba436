package crypto

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// SK_x' = prf+(PPK, SK_x) of RFC 8784 section 3, here of one block: prf(PPK, SK_x | 01).
func TestPPK(t *testing.T) {
	prf, err := NewPRF(5)
	require.NoError(t, err)
	ppk := []byte("0123456789abcdef0123456789abcdef")
	k := &IKEKeys{Ei: []byte{1}, Er: []byte{2}, Ai: []byte{3}, Ar: []byte{4}}
	for i, p := range []*[]byte{&k.D, &k.Pi, &k.Pr} {
		*p = bytes.Repeat([]byte{byte(0xa0 + i)}, 32)
	}
	got, err := k.PPK(prf, ppk)
	require.NoError(t, err)
	for _, x := range []struct{ got, from []byte }{{got.D, k.D}, {got.Pi, k.Pi}, {got.Pr, k.Pr}} {
		h := hmac.New(sha256.New, ppk)
		h.Write(append(bytes.Clone(x.from), 1))
		require.Equal(t, hex.EncodeToString(h.Sum(nil)), hex.EncodeToString(x.got))
	}
	require.Equal(t, []any{k.Ei, k.Er, k.Ai, k.Ar}, []any{got.Ei, got.Er, got.Ai, got.Ar})
	got.Zero()
	require.Equal(t, []byte{1}, k.Ei, "copies")
}
