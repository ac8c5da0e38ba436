package tpm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// Ordinals that the tests make busy.
const (
	cmdQuote20 = 0x158
	cmdQuote12 = 0x16
)

// waits keeps how long a busy TPM was waited for, without waiting.
type waits []time.Duration

func (w *waits) retry() tpm.Retry {
	return tpm.Retry{Sleep: func(_ context.Context, d time.Duration) error {
		*w = append(*w, d)
		return nil
	}}
}

// quote replays a recorded quote over a transport that is spoilt.
func quote(t *testing.T, name string, spoil func(tpm.Transport) tpm.Transport, w *waits) (*tpm.Quote, error) {
	t.Helper()
	for _, c := range cases() {
		if c.name != name {
			continue
		}
		tr := readTranscript(t, name)
		p, err := tpm.Open(t.Context(), spoil(tr.Replay()), tpm.Config{Rand: tpmtest.Counter(), Retry: w.retry()})
		require.NoError(t, err)
		_, err = p.VersionInfo(t.Context())
		require.NoError(t, err)
		_, err = p.Banks(t.Context())
		require.NoError(t, err)
		c.req.AIK = tpm.AIK{Blob: tr.Values["blob"], Handle: tpm20.FirstAKHandle}
		_, err = p.Identity(t.Context(), c.req.AIK)
		require.NoError(t, err)
		return p.Quote(t.Context(), c.req)
	}
	t.Fatalf("no case %s", name)
	return nil, nil
}

// A TPM that is busy is asked again, with back-off, and not for ever.
func TestBusyTPM(t *testing.T) {
	for name, c := range map[string]struct {
		transcript string
		ordinal    uint32
		code       uint32
	}{
		"TPM_RC_RETRY":         {"tpm20-rsassa-sha256", cmdQuote20, 0x922},
		"TPM_RC_YIELDED":       {"tpm20-rsassa-sha256", cmdQuote20, 0x908},
		"TPM_RC_TESTING":       {"tpm20-rsassa-sha256", cmdQuote20, 0x90a},
		"TPM_RETRY":            {"tpm12-key-quote", cmdQuote12, 0x800},
		"TPM_DOING_SELFTEST":   {"tpm12-key-quote", cmdQuote12, 0x802},
		"TPM_RC_NV_RATE, once": {"tpm20-rsassa-sha256", cmdQuote20, 0x920},
	} {
		t.Run(name, func(t *testing.T) {
			var w waits
			q, err := quote(t, c.transcript, func(x tpm.Transport) tpm.Transport { return tpmtest.Busy(x, c.ordinal, c.code, 4) }, &w)
			require.NoError(t, err)
			assert.NotEmpty(t, q.Signature)
			assert.Equal(t, waits{2 * time.Millisecond, 4 * time.Millisecond, 8 * time.Millisecond, 16 * time.Millisecond}, w)

			w = nil
			_, err = quote(t, c.transcript, func(x tpm.Transport) tpm.Transport { return tpmtest.Busy(x, c.ordinal, c.code, 1<<30) }, &w)
			require.ErrorIs(t, err, tpm.ErrBusy)
			var total time.Duration
			for _, d := range w {
				total += d
				assert.LessOrEqual(t, d, 500*time.Millisecond)
			}
			assert.InDelta(t, 10*time.Second, total, float64(600*time.Millisecond), "ten seconds in all")
		})
	}
}

// A TPM 1.2 that wants a self-test first is asked to run it.
func TestNeedsSelftest(t *testing.T) {
	var w waits
	tested := false
	q, err := quote(t, "tpm12-key-quote", func(x tpm.Transport) tpm.Transport {
		return tpmtest.Func(func(ctx context.Context, cmd []byte) ([]byte, error) {
			switch {
			case cmd[9] == 0x53: // TPM_ContinueSelfTest
				tested = true
				return []byte{0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0}, nil
			case cmd[9] == cmdQuote12 && !tested:
				return []byte{0, 0xc4, 0, 0, 0, 10, 0, 0, 8, 1}, nil
			}
			return x.Exchange(ctx, cmd)
		})
	}, &w)
	require.NoError(t, err)
	assert.NotEmpty(t, q.Signature)
	assert.True(t, tested)
}

// An error that waiting does not cure is returned at once.
func TestLockedTPM(t *testing.T) {
	for _, c := range []struct {
		transcript    string
		ordinal, code uint32
		want          error
	}{
		{"tpm20-rsassa-sha256", cmdQuote20, 0x921, tpm.ErrLocked},
		{"tpm12-key-quote", cmdQuote12, 0x803, tpm.ErrLocked},
		{"tpm12-key-quote", cmdQuote12, 6, tpm.ErrLocked},
		{"tpm20-rsassa-sha256", cmdQuote20, 0x18b, tpm.ErrNoKey},
		{"tpm20-rsassa-sha256", cmdQuote20, 0x101, nil},
	} {
		var w waits
		_, err := quote(t, c.transcript, func(x tpm.Transport) tpm.Transport { return tpmtest.Busy(x, c.ordinal, c.code, 1) }, &w)
		require.Error(t, err)
		if c.want != nil {
			assert.ErrorIs(t, err, c.want)
		}
		var re *tpm.ResponseError
		require.ErrorAs(t, err, &re)
		assert.Equal(t, c.code, re.Code)
		assert.Empty(t, w)
	}
}

// A wait for a busy TPM ends with the context.
func TestBusyUntilTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the gateway hung up")
	cancel(cause)
	busy := tpmtest.Busy(tpmtest.Func(nil), 0, 0x922, 1<<30)
	_, err := tpm.Open(ctx, busy, tpm.Config{})
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, tpm.ErrBusy)
}

// Replies whose frame is wrong.
func TestMalformedReplies(t *testing.T) {
	for name, reply := range map[string][]byte{
		"empty":               nil,
		"no header":           {0x80, 1, 0, 0, 0, 10},
		"longer than it says": {0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0},
		"4 GiB":               {0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"tag":                 {1, 2, 0, 0, 0, 10, 0, 0, 0, 0},
	} {
		closed := false
		_, err := tpm.Open(t.Context(), closing{tpmtest.Func(func(context.Context, []byte) ([]byte, error) { return reply, nil }), &closed}, tpm.Config{})
		assert.ErrorIs(t, err, tpm.ErrReply, name)
		assert.True(t, closed, "the transport is given back")
	}
}

type closing struct {
	tpm.Transport
	closed *bool
}

func (c closing) Close() error {
	*c.closed = true
	return nil
}
