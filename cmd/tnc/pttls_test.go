package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
	"github.com/gotnc/gotnc/tnccs/server"
)

// ptSite is a PT-TLS server with a verifier, and a client's files.
type ptSite struct {
	ca   *testpki.CA
	dir  string
	srv  *pttlstest.Server
	port string
	args []string
}

func newPTSite(t *testing.T, auth pttlstest.Auth, policy imv.Policy) *ptSite {
	t.Helper()
	return newPTSiteWith(t, auth, policy, func(*pttlstest.Config) {})
}

// newPTSiteWith is newPTSite with a change of the server's configuration.
func newPTSiteWith(t *testing.T, auth pttlstest.Auth, policy imv.Policy, change func(*pttlstest.Config)) *ptSite {
	t.Helper()
	ca, err := testpki.NewCA("gotnc test CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("localhost", testpki.ECDSA, nil)
	require.NoError(t, err)
	me, err := ca.Issue("carol.gotnc.test", testpki.RSA, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	s := &ptSite{ca: ca, dir: t.TempDir()}
	cfg := pttlstest.Config{
		Certificate: cert, ClientCAs: pool, Auth: auth, Short: true, Passwords: map[string]string{"carol": testPassword},
		Session: func() pttlstest.Session {
			v, err := imv.New(imv.Config{Policy: policy})
			if err != nil {
				panic(err)
			}
			return server.New(server.Config{MaxBatch: pb.DefaultMaxBatchTLS}, gateway.NewIMV(v, nil))
		},
	}
	change(&cfg)
	s.srv, err = pttlstest.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.srv.Close()
		noChildren(t)
	})
	_, s.port, err = net.SplitHostPort(s.srv.Addr())
	require.NoError(t, err)
	s.write(t, "ca.pem", string(ca.PEM()))
	require.NoError(t, testpki.WriteFiles(me, s.path("me.pem"), s.path("me.key")))
	s.write(t, "pw", testPassword+"\n")
	s.write(t, "tnc_config", "IMC \"Attestation\" "+library+"\n")
	s.write(t, "strongswan.conf", "libimcv {\n}\n")
	s.args = []string{"pt-tls", "localhost", "--port", s.port, "--ca", s.path("ca.pem"),
		"--tnc-config", s.path("tnc_config"), "--strongswan-conf", s.path("strongswan.conf")}
	return s
}

func (s *ptSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *ptSite) write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

func (s *ptSite) run(t *testing.T, more ...string) (out report.PTTLSOutcome, stderr string, code int) {
	t.Helper()
	stdout, stderr, code := runTNC(t, append(append([]string{}, s.args...), append(more, "--json")...)...)
	require.NoError(t, json.Unmarshal([]byte(stdout), &out), "%s%s", stdout, stderr)
	require.Equal(t, code, out.ExitCode)
	return out, stderr, code
}

func TestPTTLSAllowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "measured")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	sum := sha256.Sum256([]byte("content"))
	s := newPTSite(t, pttlstest.AuthTLSOrSASL, imv.Policy{Files: map[string]string{file: hex.EncodeToString(sum[:])}})

	out, _, code := s.run(t, "--cert", s.path("me.pem"), "--key", s.path("me.key"))
	require.Equal(t, report.ExitAllowed, code)
	require.Equal(t, client.Allowed, out.Recommendation)
	require.Equal(t, "certificate", out.Authentication)
	require.Contains(t, out.Identity, "CN=carol.gotnc.test")
	require.Equal(t, []string{"Attestation"}, out.IMCs)

	out, _, code = s.run(t, "--client", "carol", "--secret-file", s.path("pw"))
	require.Equal(t, report.ExitAllowed, code)
	require.Equal(t, "SASL PLAIN", out.Authentication)
	require.Equal(t, "carol", out.Identity)
	require.Equal(t, []string{"cert: carol.gotnc.test", "PLAIN: carol"}, s.srv.Clients())

	// pt-tls-client's way to say it, in its file of options.
	s.write(t, "options", "--connect localhost # the server\n--port "+s.port+"\n--client carol\n--secret \""+testPassword+"\"\n--cert "+
		s.path("ca.pem")+"\n--quiet\n--debug 2\n--tnc-config "+s.path("tnc_config")+"\n--strongswan-conf "+s.path("strongswan.conf"))
	stdout, stderr, code := runTNC(t, "pt-tls", "--options", s.path("options"))
	require.Equal(t, report.ExitAllowed, code, stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "access allowed")
	require.NotContains(t, stdout, testPassword)
}

func TestPTTLSIsolatedAndDenied(t *testing.T) {
	for rec, want := range map[imv.Recommendation]struct {
		text client.Recommendation
		code int
	}{imv.Isolate: {client.Isolated, report.ExitIsolated}, imv.Deny: {client.Denied, report.ExitDenied}} {
		s := newPTSite(t, pttlstest.AuthNone, imv.Policy{Force: rec, Reason: "the test wants it", Remediation: "https://example.org/fix"})
		out, stderr, code := s.run(t)
		require.Equal(t, want.code, code, stderr)
		require.Equal(t, want.text, out.Recommendation)
		require.Equal(t, "none", out.Authentication)
		require.Equal(t, []client.Localized{{Text: "the test wants it", Language: "en"}}, out.Reasons)
		require.Equal(t, []client.Localized{{Text: "https://example.org/fix"}}, out.Remediation)
	}
}

func TestPTTLSFailuresSayWhatToDo(t *testing.T) {
	s := newPTSite(t, pttlstest.AuthTLSOrSASL, imv.Policy{})
	other, err := testpki.NewCA("Other CA", testpki.ECDSA)
	require.NoError(t, err)
	s.write(t, "other.pem", string(other.PEM()))
	s.write(t, "wrong", "guess\n")
	s.write(t, "empty", "\n")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, closed, err := net.SplitHostPort(free.Addr().String())
	require.NoError(t, err)
	free.Close()
	me := []string{"--cert", s.path("me.pem"), "--key", s.path("me.key")}
	base := []string{"--tnc-config", s.path("tnc_config"), "--strongswan-conf", s.path("strongswan.conf"), "--port", s.port}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"no server":           {base, report.ExitUsage, []string{"needs one server"}},
		"two servers":         {append([]string{"a", "b", "--ca", s.path("ca.pem")}, base...), report.ExitUsage, []string{"needs one server"}},
		"no CA":               {append([]string{"localhost"}, base...), report.ExitUsage, []string{"--ca"}},
		"certificate, no CA":  {append(append([]string{"localhost"}, me...), base...), report.ExitUsage, []string{"--ca"}},
		"certificate, no key": {append([]string{"localhost", "--cert", s.path("me.pem")}, base...), report.ExitFailure, []string{"needs its --key"}},
		"key, no certificate": {append([]string{"localhost", "--ca", s.path("ca.pem"), "--key", s.path("me.key")}, base...), report.ExitFailure, []string{"no --cert fits"}},
		"kind of the key":     {append(append([]string{"localhost", "--ca", s.path("ca.pem"), "--key-type", "ecdsa"}, me...), base...), report.ExitFailure, []string{"another kind than ecdsa"}},
		"missing CA file":     {append([]string{"localhost", "--ca", s.path("nothing")}, base...), report.ExitFailure, []string{"no such file", "--ca"}},
		"password, no name":   {append([]string{"localhost", "--ca", s.path("ca.pem"), "--secret-file", s.path("pw")}, base...), report.ExitUsage, []string{"--client"}},
		"empty password":      {append([]string{"localhost", "--ca", s.path("ca.pem"), "--client", "carol", "--secret-file", s.path("empty")}, base...), report.ExitFailure, []string{"first line", "is empty"}},
		"other CA":            {append([]string{"localhost", "--ca", s.path("other.pem"), "--client", "carol", "--secret-file", s.path("pw")}, base...), report.ExitFailure, []string{"no password was sent", "--ca"}},
		"other name":          {append([]string{"127.0.0.1", "--ca", s.path("ca.pem"), "--client", "carol", "--secret-file", s.path("pw")}, base...), report.ExitFailure, []string{"no password was sent", "--server-name"}},
		"wrong password":      {append([]string{"localhost", "--ca", s.path("ca.pem"), "--client", "carol", "--secret-file", s.path("wrong")}, base...), report.ExitFailure, []string{"refused the authentication", "carol"}},
		"no credentials":      {append([]string{"localhost", "--ca", s.path("ca.pem")}, base...), report.ExitFailure, []string{"--client and --secret-file"}},
		"nobody listens":      {append([]string{"localhost", "--ca", s.path("ca.pem")}, append(base[:4:4], "--port", closed)...), report.ExitFailure, []string{"nothing listens", "--port"}},
		"unknown name":        {append([]string{"host.invalid", "--ca", s.path("ca.pem")}, base...), report.ExitFailure, []string{"name of the server"}},
		"bad option file":     {[]string{"--options", s.path("pw")}, report.ExitUsage, []string{"--ca"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := runTNC(t, append([]string{"pt-tls"}, c.args...)...)
			require.Equal(t, c.code, code, stderr)
			if code == report.ExitFailure {
				oneSentence(t, stderr, c.says...)
			} else {
				require.Contains(t, stderr, c.says[0])
			}
			require.NotContains(t, stderr, testPassword)
		})
	}
	require.Equal(t, 1, s.srv.Secrets(), "only the wrong password was sent")

	// Another name by intent.
	out, stderr, code := s.run(t, "--client", "carol", "--secret-file", s.path("pw"))
	require.Equal(t, report.ExitAllowed, code, "%v %s", out, stderr)
	args := append([]string{"pt-tls", "127.0.0.1", "--server-name", "localhost", "--ca", s.path("ca.pem"), "--client", "carol", "--secret-file", s.path("pw")}, base...)
	_, stderr, code = runTNC(t, args...)
	require.Equal(t, report.ExitAllowed, code, stderr)
}

// The whole command as a process: Ctrl-C ends it with its IMCs.
func TestPTTLSInterrupted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	s := newPTSite(t, pttlstest.AuthNone, imv.Policy{})
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	bin := s.path("tnc")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, append(s.args, "--port", port)...)
	require.NoError(t, cmd.Start())
	c, err := ln.Accept() // it connected, and waits for TLS
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, report.ExitFailure, cmd.ProcessState.ExitCode())
}
