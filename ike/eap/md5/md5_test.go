package md5

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

// A challenge of 16 octets for the password "secret" (RFC 1994 section 4.1).
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

func TestClosed(t *testing.T) {
	m := New([]byte("pw"))
	m.Close()
	require.Equal(t, []byte{0, 0}, m.password)
	_, err := m.Handle(eap.Packet{ID: 9, Data: []byte{1, 2}})
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
