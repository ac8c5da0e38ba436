package main

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/gateway/verifier"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// Ctrl-C while an IMC does not return from a call ends the command long before
// the call's time, two minutes, is over.
func TestInterruptedInAnIMC(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// The server's session begins where the client's does.
	s := newPTSiteWith(t, pttlstest.AuthNone, verifier.Policy{}, func(c *pttlstest.Config) {
		begin := c.Session
		c.Session = func() pttlstest.Session {
			cancel()
			return begin()
		}
	})
	so := s.path("bad.so")
	out, err := exec.Command(cc, "-shared", "-fPIC", "-pthread", "-o", so, filepath.Join("..", "..", "tnccs", "dlimc", "testdata", "bad.c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.write(t, "tnc_config", "IMC \"Bad\" "+so+"\n")
	t.Setenv("GOTNC_TEST_AT", "BeginHandshake")
	t.Setenv("GOTNC_TEST_DO", "hang")
	start := time.Now()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailure, run(ctx, s.args, &stdout, &stderr))
	oneSentence(t, stderr.String(), "interrupted")
	require.Less(t, time.Since(start), time.Minute)
}
