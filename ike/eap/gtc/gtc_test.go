package gtc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

func TestAnswersThePrompt(t *testing.T) {
	m := New([]byte("token"))
	require.Empty(t, m.Explain())
	r, err := m.Handle(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeGTC, Data: []byte("Password: ")})
	require.NoError(t, err)
	require.Equal(t, "token", string(r.Data))
	require.Equal(t, eap.DecisionMaySucceed, r.Decision)
	require.NotEmpty(t, m.Explain())
	m.Close()
	require.Equal(t, "token", string(r.Data), "the answer is the caller's")
	_, err = m.Handle(eap.Packet{})
	require.ErrorIs(t, err, errClosed)
}
