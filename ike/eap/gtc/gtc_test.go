package gtc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

// A conversation as charon 5.9 (eap-gtc) and hostapd 2.10 have it, octet by octet.
func TestVectors(t *testing.T) {
	for request, response := range map[string]string{
		"\x01\x2a\x00\x17\x06Enter password: ": "",
		"\x01\x2a\x00\x0d\x06password":         "\x02\x2a\x00\x0a\x06token",
		"\x01\x07\x00\x05\x06":                 "\x02\x07\x00\x0a\x06token", // no prompt
	} {
		p := eap.NewPeer(eap.Config{Methods: []eap.Offer{Offer([]byte("token"))}})
		b, _, err := p.Handle([]byte(request))
		if response == "" {
			require.Error(t, err, "the length is wrong")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, response, string(b))
		for n := range len(request) {
			q := eap.NewPeer(eap.Config{})
			_, status, err := q.Handle([]byte(request[:n]))
			require.Error(t, err, "%d octets", n)
			require.Equal(t, eap.StatusFailure, status)
			q.Close()
		}
		p.Close()
	}
}

func TestAnswersThePrompt(t *testing.T) {
	m := New([]byte("token"))
	require.NoError(t, m.Explain())
	r, err := m.Handle(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeGTC, Data: []byte("Password: ")})
	require.NoError(t, err)
	require.Equal(t, "token", string(r.Data))
	require.Equal(t, eap.DecisionMaySucceed, r.Decision)
	require.ErrorIs(t, m.Explain(), eap.ErrCredentials)
	m.Close()
	require.Equal(t, "token", string(r.Data), "the answer is the caller's")
	_, err = m.Handle(eap.Packet{})
	require.ErrorIs(t, err, errClosed)
}

func FuzzHandle(f *testing.F) {
	f.Add([]byte("Password: "))
	f.Fuzz(func(t *testing.T, prompt []byte) {
		m := New([]byte("token"))
		r, err := m.Handle(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeGTC, Data: prompt})
		if err != nil || string(r.Data) != "token" {
			t.Fatalf("%q %v", r.Data, err)
		}
	})
}
