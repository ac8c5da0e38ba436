package crypto

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func TestMLKEM(t *testing.T) {
	for _, c := range []struct {
		m                  message.KEMethod
		public, ciphertext int
	}{{message.KEMLKEM768, 1184, 1088}, {message.KEMLKEM1024, 1568, 1568}} {
		t.Run(c.m.String(), func(t *testing.T) {
			x, err := NewKeyExchange(c.m, nil)
			require.NoError(t, err)
			require.Equal(t, c.m, x.Method())
			require.Len(t, x.Public(), c.public)
			ciphertext, theirs, err := RespondKE(c.m, nil, x.Public())
			require.NoError(t, err)
			require.Len(t, ciphertext, c.ciphertext)
			ours, err := x.Shared(ciphertext)
			require.NoError(t, err)
			require.Equal(t, theirs, ours)
			require.Len(t, ours, 32)

			ciphertext[7] ^= 1
			other, err := x.Shared(ciphertext)
			require.NoError(t, err, "implicit rejection")
			require.NotEqual(t, theirs, other)
			for _, bad := range [][]byte{nil, ciphertext[1:], append(bytes.Clone(ciphertext), 0)} {
				_, err := x.Shared(bad)
				require.ErrorIs(t, err, ErrPeerPublicKey)
			}
			// Coefficients above the modulus (FIPS 203 section 7.2).
			for _, bad := range [][]byte{nil, x.Public()[1:], bytes.Repeat([]byte{0xff}, c.public)} {
				_, _, err := RespondKE(c.m, nil, bad)
				require.ErrorIs(t, err, ErrPeerPublicKey)
			}
			x.Zero()
			_, err = x.Shared(ciphertext)
			require.ErrorIs(t, err, errKeyGone)
			_, err = NewKeyExchange(c.m, bytes.NewReader(make([]byte, 63)))
			require.Error(t, err, "a source that ends")
		})
	}
}

// The key comes from the random source, as d | z of FIPS 203 section 7.1.
func TestMLKEMFromSeed(t *testing.T) {
	seed := make([]byte, 64)
	for i := range seed {
		seed[i] = byte(i)
	}
	x, err := NewKeyExchange(message.KEMLKEM768, bytes.NewReader(seed))
	require.NoError(t, err)
	k, err := mlkem.NewEncapsulationKey768(x.Public())
	require.NoError(t, err)
	shared, ciphertext, err := mlkemtest.Encapsulate768(k, make([]byte, 32))
	require.NoError(t, err)
	got, err := x.Shared(ciphertext)
	require.NoError(t, err)
	require.Equal(t, shared, got)
}
