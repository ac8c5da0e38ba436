package mschapv2

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

func un(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func method(t testing.TB) *Method {
	m, err := New(Config{User: "User", Password: []byte("clientPass"), Rand: bytes.NewReader(un(t, "21402324255E262A28295F2B3A337C7E"))})
	require.NoError(t, err)
	return m
}

func request(data []byte) eap.Packet {
	return eap.Packet{Code: eap.CodeRequest, ID: 7, Type: eap.TypeMSCHAPv2, Data: data}
}

func op(code byte, body []byte) []byte {
	return append([]byte{code, 7, byte((4 + len(body)) >> 8), byte(4 + len(body))}, body...)
}

func challenge(t testing.TB) []byte {
	return op(opChallenge, append(append([]byte{16}, un(t, "5B5D7C7D7B3F2F3E3C2C602132262628")...), "moon"...))
}

// RFC 2759 §9.2.
func TestVectors(t *testing.T) {
	m := method(t)
	r, err := m.Handle(request(challenge(t)))
	require.NoError(t, err)
	require.Equal(t, eap.DecisionFail, r.Decision, "the server has proven nothing yet")
	require.Nil(t, m.MSK())
	require.Equal(t, un(t, "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"), r.Data[29:53])
	require.Equal(t, len(r.Data), int(r.Data[2])<<8|int(r.Data[3]))
	require.Equal(t, "User", string(r.Data[54:]))
	require.Equal(t, un(t, "44EBBA8D5312B8D611474411F56989AE"), m.ntHash[:])
	r, err = m.Handle(request(op(opSuccess, []byte("S=407A5589115FD0D6209F510FE9C04566932CDA56 M=OK"))))
	require.NoError(t, err)
	require.Equal(t, []byte{opSuccess}, r.Data)
	require.Equal(t, eap.DecisionMaySucceed, r.Decision)
	require.Equal(t, append(un(t, "D5F0E9521E3EA9589645E86051C822268B7CDC149B993A1BA118CB153F56DCCB"), make([]byte, 32)...), m.MSK())
	m.Close()
	require.Nil(t, m.MSK())
}

func TestServerWithoutThePassword(t *testing.T) {
	m := method(t)
	_, err := m.Handle(request(op(opSuccess, []byte("S=407A5589115FD0D6209F510FE9C04566932CDA56"))))
	require.ErrorIs(t, err, errOrder, "Success before a challenge")
	_, err = m.Handle(request(challenge(t)))
	require.NoError(t, err)
	_, err = m.Handle(request(op(opSuccess, []byte("S=407A5589115FD0D6209F510FE9C04566932CDA57 M=OK"))))
	require.ErrorIs(t, err, ErrServer)
	require.Nil(t, m.MSK())
}

func TestFailure(t *testing.T) {
	m := method(t)
	_, err := m.Handle(request(challenge(t)))
	require.NoError(t, err)
	r, err := m.Handle(request(op(opFailure, []byte("E=691 R=1 C=00112233445566778899AABBCCDDEEFF"))))
	require.NoError(t, err)
	require.Equal(t, []byte{opFailure}, r.Data)
	require.ErrorContains(t, r.Err, "password is wrong")
	require.ErrorIs(t, r.Err, eap.ErrCredentials)
	var refused *RefusedError
	require.ErrorAs(t, r.Err, &refused)
	require.Equal(t, 691, refused.Code)
}

func TestTruncated(t *testing.T) {
	success := op(opSuccess, []byte("S=407A5589115FD0D6209F510FE9C04566932CDA56"))
	for _, c := range []struct {
		packet   []byte
		answered bool
		least    int // octets that are enough
	}{{challenge(t), false, 21}, {success, true, len(success)}, {op(opFailure, []byte("E=691 R=0")), true, 4}} {
		for n := range len(c.packet) {
			m := method(t)
			if c.answered {
				_, err := m.Handle(request(challenge(t)))
				require.NoError(t, err)
			}
			_, err := m.Handle(request(c.packet[:n]))
			require.Error(t, err, "%d octets: the length within does not fit", n)
			if n >= 4 {
				b := bytes.Clone(c.packet[:n])
				b[2], b[3] = 0, byte(n)
				_, err := m.Handle(request(b))
				require.Equal(t, n >= c.least, err == nil, "%d octets of OpCode %d: %v", n, b[0], err)
			}
			require.Nil(t, m.MSK())
			m.Close()
		}
	}
}

func FuzzHandle(f *testing.F) {
	f.Add(challenge(f))
	f.Add(op(opSuccess, []byte("S=407A5589115FD0D6209F510FE9C04566932CDA56")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, first := range []bool{false, true} {
			m := method(t)
			if first {
				_, _ = m.Handle(request(challenge(t)))
			}
			if r, err := m.Handle(request(b)); err == nil && r.Data == nil {
				t.Fatal("no answer")
			}
		}
	})
}
