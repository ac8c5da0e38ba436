package pts

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A verifier that wants more D-H exchanges than it can use gets no more.
func TestExchangesAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	m := NewMachine(Config{Now: func() time.Time { return now }})
	ask := func() error {
		_, err := m.Handle(context.Background(), DHNonceParametersRequest{Groups: ECP256})
		return err
	}
	require.NoError(t, ask())
	require.ErrorIs(t, ask(), ErrTooMany, "of the same message")
	_, err := m.Handle(context.Background(), DHNonceParametersRequest{Groups: 0x03FF})
	require.NoError(t, err, "what costs nothing is answered")
	for range maxExchangesAMinute - 1 {
		m.BeginMessage()
		require.NoError(t, ask())
	}
	m.BeginMessage()
	require.ErrorIs(t, ask(), ErrTooMany, "of the same minute")
	now = now.Add(time.Minute)
	require.NoError(t, ask())

	m = NewMachine(Config{})
	for range 2 * maxExchangesAMinute {
		m.BeginMessage()
		require.NoError(t, ask(), "without a clock only messages are bounded")
	}
}

// A TPM makes no more quotes than an assessment needs; the evidence leaves without.
func TestQuotesAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	q, c := &fakeQuoter{banks: SHA256}, &fakeCollector{matchAt: 1}
	m := negotiated(t, q, c, 0xF000)
	m.cfg.Now = func() time.Time { return now }
	generate := func() QuoteKind {
		c.Reset()
		handle(t, m, imaRequest(RequestPCR, 0))
		c.matches = 0
		as := handle(t, m, GenerateAttestationEvidence{})
		return as[len(as)-1].Value.(SimpleEvidenceFinal).Kind
	}
	for range maxQuotesAMessage {
		require.Equal(t, QuoteTPM20, generate())
	}
	require.Equal(t, QuoteNone, generate())
	require.Equal(t, maxQuotesAMessage, q.quotes)
	for range maxQuotesAMinute - maxQuotesAMessage {
		m.BeginMessage()
		require.Equal(t, QuoteTPM20, generate())
	}
	m.BeginMessage()
	require.Equal(t, QuoteNone, generate())
	require.Equal(t, maxQuotesAMinute, q.quotes)
	now = now.Add(time.Minute)
	require.Equal(t, QuoteTPM20, generate())
}
