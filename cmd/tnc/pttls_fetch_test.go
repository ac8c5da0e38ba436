package main

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// A server's certificate does not make the client ask its own machine, unless
// tnc.fetch.private_addresses allows it; a CRL that comes octet by octet does not
// outlast Ctrl-C.
func TestPTTLSFetching(t *testing.T) {
	var asked atomic.Int32
	drip := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte{0x30})
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	defer drip.Close()
	var cfg pttlstest.Config
	s := newPTSiteWith(t, pttlstest.AuthNone, imv.Policy{}, func(c *pttlstest.Config) { cfg = *c })
	var err error
	cfg.Certificate, err = s.ca.Issue("localhost", testpki.ECDSA, func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{drip.URL + "/crl", "file:///etc/passwd"}
	})
	require.NoError(t, err)
	srv, err := pttlstest.New(cfg)
	require.NoError(t, err)
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Addr())
	require.NoError(t, err)
	args := append(s.args, "--port", port, "-v")

	_, stderr, code := runTNC(t, args...)
	require.Equal(t, report.ExitAllowed, code, stderr)
	require.Contains(t, stderr, "tnc.fetch.private_addresses is no")
	require.Contains(t, stderr, `"file" is no scheme that can be fetched`)
	require.Zero(t, asked.Load())

	s.write(t, "strongswan.conf", "libimcv {\n}\ntnc {\n fetch {\n  private_addresses = yes\n }\n}\n")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := time.Now()
	out := &watch{text: "fetching crl from", then: func() { time.AfterFunc(200*time.Millisecond, cancel) }}
	require.Equal(t, report.ExitFailure, run(ctx, args, io.Discard, out))
	oneSentence(t, out.String(), "interrupted")
	require.Less(t, time.Since(start), 8*time.Second, "the time of one URI is 10 s")
	require.EqualValues(t, 1, asked.Load())
}
