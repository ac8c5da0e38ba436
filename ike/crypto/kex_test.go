package crypto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

var allKE = []message.KEMethod{
	message.KEMODP1024, message.KEMODP1536, message.KEMODP2048, message.KEMODP3072, message.KEMODP4096, message.KEMODP6144,
	message.KEMODP8192, message.KEECP256, message.KEECP384, message.KEECP521, message.KECurve25519,
}

func TestKeyExchangeAgreement(t *testing.T) {
	sizes := map[message.KEMethod]int{
		message.KEMODP1024: 128, message.KEMODP1536: 192, message.KEMODP2048: 256, message.KEMODP3072: 384, message.KEMODP4096: 512,
		message.KEMODP6144: 768, message.KEMODP8192: 1024, message.KEECP256: 64, message.KEECP384: 96, message.KEECP521: 132,
		message.KECurve25519: 32,
	}
	for _, m := range allKE {
		t.Run(m.String(), func(t *testing.T) {
			a, err := NewKeyExchange(m, nil)
			require.NoError(t, err)
			b, err := NewKeyExchange(m, nil)
			require.NoError(t, err)
			require.Equal(t, m, a.Method())
			require.Len(t, a.Public(), sizes[m])
			require.NotEqual(t, a.Public(), b.Public())
			s1, err := a.Shared(b.Public())
			require.NoError(t, err)
			s2, err := b.Shared(a.Public())
			require.NoError(t, err)
			require.Equal(t, s1, s2)

			for _, bad := range [][]byte{nil, a.Public()[1:], append(a.Public(), 0), make([]byte, sizes[m])} {
				_, err := b.Shared(bad)
				require.ErrorIs(t, err, ErrPeerPublicKey)
			}
			a.Zero()
			_, err = a.Shared(b.Public())
			require.Error(t, err)
		})
	}
	_, err := NewKeyExchange(message.KEMLKEM512, nil)
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = NewKeyExchange(message.KECurve25519, bytes.NewReader(nil))
	require.Error(t, err)
	_, err = NewKeyExchange(message.KEMODP2048, bytes.NewReader(nil))
	require.Error(t, err)
}

func TestMODPRefusesSmallOrder(t *testing.T) {
	k, err := NewKeyExchange(message.KEMODP2048, nil)
	require.NoError(t, err)
	p, err := hex.DecodeString(primeMODP2048)
	require.NoError(t, err)
	one := make([]byte, len(p))
	one[len(p)-1] = 1
	minusOne := bytes.Clone(p)
	minusOne[len(p)-1]--
	all := bytes.Repeat([]byte{0xff}, len(p))
	for _, bad := range [][]byte{one, minusOne, p, all} {
		_, err := k.Shared(bad)
		require.ErrorIs(t, err, ErrPeerPublicKey)
	}
	two := make([]byte, len(p))
	two[len(p)-1] = 2
	s, err := k.Shared(two)
	require.NoError(t, err)
	require.Equal(t, k.Public(), s)
}

// RFC 5903 section 8.1.
func TestECP256Vector(t *testing.T) {
	i, err := NewKeyExchange(message.KEECP256, bytes.NewReader(unhex(t, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433")))
	require.NoError(t, err)
	r, err := NewKeyExchange(message.KEECP256, bytes.NewReader(unhex(t, "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53")))
	require.NoError(t, err)
	require.Equal(t, "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3", hex.EncodeToString(i.Public()))
	s, err := i.Shared(r.Public())
	require.NoError(t, err)
	require.Equal(t, "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de", hex.EncodeToString(s))
}

// RFC 7748 section 5.2.
func TestX25519Vector(t *testing.T) {
	k, err := NewKeyExchange(message.KECurve25519, bytes.NewReader(unhex(t, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")))
	require.NoError(t, err)
	s, err := k.Shared(unhex(t, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
	require.NoError(t, err)
	require.Equal(t, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552", hex.EncodeToString(s))
}

func TestECP521WithAnyRandom(t *testing.T) {
	k, err := NewKeyExchange(message.KEECP521, constant("\xfe\x01"))
	require.NoError(t, err)
	require.Len(t, k.Public(), 132)
	_, err = NewKeyExchange(message.KEECP256, constant("\xff"))
	require.Error(t, err, "a broken source ends, it does not hang")
	require.False(t, errors.Is(err, ErrPeerPublicKey))
}
