package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
	"github.com/gotnc/gotnc/tnccs/server"
)

// locked is a server's session that the test may ask for a new assessment.
type locked struct {
	mu sync.Mutex
	*server.Session
}

func (l *locked) Receive(b []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Session.Receive(b)
}

func (l *locked) Retry() (sretry, sdata []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Session.Retry()
}

// The server asks again on the same connection, and sees that a file has changed.
func TestPTTLSStays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "measured")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	sum := sha256.Sum256([]byte("content"))
	policy := imv.Policy{Files: map[string]string{file: hex.EncodeToString(sum[:])}, OnMismatch: imv.Isolate}
	push, session := make(chan []byte), make(chan *locked, 1)
	s := newPTSiteWith(t, pttlstest.AuthNone, policy, func(c *pttlstest.Config) {
		inner := c.Session
		c.Push = push
		c.Session = func() pttlstest.Session {
			l := &locked{Session: inner().(*server.Session)}
			session <- l
			return l
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append(s.args, "--stay", "--json", "--explain"), w, io.Discard)
		w.Close()
	}()
	d := json.NewDecoder(r)
	var out report.PTTLSOutcome
	require.NoError(t, d.Decode(&out))
	require.Equal(t, client.Allowed, out.Recommendation)
	rows := len(out.Explained)
	require.NotZero(t, rows)

	require.NoError(t, os.WriteFile(file, []byte("changed"), 0o600))
	sretry, sdata, err := (<-session).Retry()
	require.NoError(t, err)
	push <- sretry
	push <- sdata
	out = report.PTTLSOutcome{}
	require.NoError(t, d.Decode(&out))
	require.Equal(t, client.Isolated, out.Recommendation)
	require.Equal(t, report.ExitIsolated, out.ExitCode)
	require.NotEmpty(t, out.Explained, "what was asked this time")

	cancel()
	require.Equal(t, report.ExitIsolated, <-code, "the last decision")
	require.ErrorIs(t, d.Decode(&out), io.EOF, "which is printed once")
	require.Empty(t, s.srv.Failures(), "the server got CLOSE")

	_, stderr, exit := runTNC(t, append(s.args, "--stay", "--mutual")...)
	require.Equal(t, report.ExitUsage, exit)
	require.Contains(t, stderr, "exclude each other")
}
