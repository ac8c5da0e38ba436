package md5

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

// The vector of spec sheet §1.1.
func TestResponseVector(t *testing.T) {
	in, _ := hex.DecodeString("011700160410000102030405060708090a0b0c0d0e0f")
	want, _ := hex.DecodeString("0217001604100791b0bc38facd8642ac55319122d6ce")
	p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer([]byte("secret"))}})
	defer p.Close()
	got, status, err := p.Handle(in)
	require.NoError(t, err)
	require.Equal(t, eap.StatusContinue, status)
	require.Equal(t, want, got)
	require.Nil(t, p.MSK())
	_, _, err = p.Handle([]byte{4, 0x17, 0, 4})
	require.ErrorContains(t, err, "password")
}

func TestValue(t *testing.T) {
	for _, v := range []Value{{Value: []byte{1}}, {Value: make([]byte, 255), Name: []byte("moon")}} {
		b, err := v.AppendBinary(nil)
		require.NoError(t, err)
		got, err := ParseValue(b)
		require.NoError(t, err)
		require.Equal(t, v.Value, got.Value)
		require.Equal(t, string(v.Name), string(got.Name))
		for i := range len(v.Value) + 1 {
			_, err := ParseValue(b[:i])
			require.Error(t, err)
		}
	}
	_, err := ParseValue([]byte{0, 1, 2})
	require.ErrorIs(t, err, errEmpty)
	_, err = Value{Value: make([]byte, 256)}.AppendBinary(nil)
	require.Error(t, err)
}

func TestChallenge(t *testing.T) {
	c, data, err := NewChallenge(9)
	require.NoError(t, err)
	m := New([]byte("pw"))
	r, err := m.Handle(eap.Packet{ID: 9, Data: data})
	require.NoError(t, err)
	require.True(t, c.Verify(r.Data, []byte("pw")))
	require.False(t, c.Verify(r.Data, []byte("no")))
	require.False(t, c.Verify(r.Data[:5], []byte("pw")))
	require.False(t, c.Verify(nil, []byte("pw")))
	m.Close()
	require.Equal(t, []byte{0, 0}, m.password)
	_, err = m.Handle(eap.Packet{ID: 9, Data: data})
	require.ErrorIs(t, err, errClosed)
}

func FuzzParseValue(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseValue(b)
		if err != nil {
			return
		}
		if out, err := v.AppendBinary(nil); err != nil || string(out) != string(b) {
			t.Fatalf("%x became %x, %v", b, out, err)
		}
	})
}
