package pcr

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// Extended and replayed values, computed by other means.
func TestVectors(t *testing.T) {
	b := NewBank(SHA1)
	require.Equal(t, "9797edf8d0eed36b1cf92547816051c8af4e45ee", hex.EncodeToString(b.Digest(7)))
	m := sha1.Sum([]byte("a"))
	require.True(t, b.Extend(10, m[:]))
	require.Equal(t, "b311ff7e540d671f5b54ed190d402a1d064fbecb", hex.EncodeToString(b.Value(10)))
	require.EqualValues(t, 1<<10, b.Touched())
	require.Equal(t, "7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61",
		hex.EncodeToString(NewBank(SHA256).Digest(9)))
}

func TestExtendIsHashOfBoth(t *testing.T) {
	for _, h := range Hashes {
		b := NewBank(h)
		b.SetLocality(3)
		start := append([]byte(nil), b.Value(0)...)
		require.Equal(t, byte(3), start[len(start)-1])
		m := AppendSum(nil, h, []byte("m"))
		require.True(t, b.Extend(0, m))
		require.Equal(t, AppendSum(nil, h, append(start, m...)), b.Value(0))
	}
}

func TestExtendRefuses(t *testing.T) {
	b := NewBank(SHA256)
	require.False(t, b.Extend(Count, make([]byte, 32)))
	require.False(t, b.Extend(1, make([]byte, 20)))
	require.False(t, NewBank(Hash(0x12)).Extend(1, nil))
	require.Nil(t, NewBank(Hash(0x12)).Digest(7))
	require.Nil(t, b.Value(Count))
	require.Zero(t, b.Touched())
}
