package main

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// Ctrl-C while an IMC does not return from a call ends the command long before
// the call's time, two minutes, is over.
func TestInterruptedInAnIMC(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	s := newPTSite(t, pttlstest.AuthNone, imv.Policy{})
	so := s.path("bad.so")
	out, err := exec.Command(cc, "-shared", "-fPIC", "-pthread", "-o", so, filepath.Join("..", "..", "tnccs", "dlimc", "testdata", "bad.c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.write(t, "tnc_config", "IMC \"Bad\" "+so+"\n")
	t.Setenv("GOTNC_TEST_AT", "BeginHandshake")
	t.Setenv("GOTNC_TEST_DO", "hang")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := time.Now()
	stderr := &watch{text: "hanging", then: cancel}
	require.Equal(t, report.ExitFailure, run(ctx, append(s.args, "-v"), io.Discard, stderr))
	oneSentence(t, stderr.String(), "interrupted", "no return from TNC_IMC_BeginHandshake")
	require.Less(t, time.Since(start), time.Minute)
}

// watch keeps what is written and does something when a text has come.
type watch struct {
	text string
	then func()

	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if bytes.Contains(p, []byte(w.text)) {
		w.then()
	}
	return len(p), nil
}

func (w *watch) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}
