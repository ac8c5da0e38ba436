package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/gateway/verifier"
	"github.com/gotnc/gotnc/internal/testpki"
)

// stay runs tnc up until the gateway has seen as many IKE_SAs that came to
// stand, then ends it, and returns what was logged and the exit code.
func (s *site) stay(ikeSAs int, more ...string) (log string, code int) {
	s.t.Helper()
	s.t.Setenv("TNC_RUN_DIR", filepath.Join(s.dir, "run"))
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	f, err := os.Create(s.path("log"))
	require.NoError(s.t, err)
	defer f.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(append([]string{"up", "home", "--dataplane", "none"}, s.args...), more...), io.Discard, f)
	}()
	stood := func() (n int) {
		for _, c := range s.gw.Report().Clients {
			if c.State == gateway.Established || c.State == gateway.Deleted {
				n++
			}
		}
		return n
	}
	require.Eventually(s.t, func() bool { return stood() >= ikeSAs }, 30*time.Second, 20*time.Millisecond, "IKE_SAs that came to stand")
	cancel()
	select {
	case code = <-ended:
	case <-time.After(30 * time.Second):
		require.Fail(s.t, "tnc up did not end")
	}
	b, err := os.ReadFile(s.path("log"))
	require.NoError(s.t, err)
	return string(b), code
}

// --reattest makes a new IKE_SA with an attestation at that interval, and ends
// the one before.
func TestReattestOnATimer(t *testing.T) {
	s := newSite(t, nil)
	log, code := s.stay(3, "--reattest", "300ms")
	require.Equal(t, exitAllowed, code, log)
	require.Contains(t, log, "it is time to attest again")
	require.Contains(t, log, "deleting IKE_SA home[1]")
	for _, c := range s.gw.Report().Clients {
		require.NotEqual(t, gateway.Failed, c.State, c.Failure)
	}
}

// An IMC asks for a new handshake (RequestHandshakeRetry): the client attests
// again over a new IKE_SA.
func TestReattestWhenAnIMCAsks(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Policy.Force = verifier.Isolate })
	b, err := os.ReadFile(s.path("strongswan.conf"))
	require.NoError(t, err)
	s.write("strongswan.conf", string(b)+"libimcv {\n plugins {\n  imc-attestation {\n   retry = yes\n  }\n }\n}\n")
	log, code := s.stay(2)
	require.Equal(t, exitIsolated, code, log)
	require.Contains(t, log, "an IMC asks for a new handshake")
}
