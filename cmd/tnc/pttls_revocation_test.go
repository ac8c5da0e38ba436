package main

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// A server whose certificate has been revoked gets no password.
func TestPTTLSRevocation(t *testing.T) {
	var s *ptSite
	var staple *pttlstest.Config
	s = newPTSiteWith(t, pttlstest.AuthTLSOrSASL, imv.Policy{}, func(c *pttlstest.Config) { staple = c })
	now := time.Now()
	good, err := s.ca.CRL(1, now)
	require.NoError(t, err)
	bad, err := s.ca.CRL(2, now, staple.Certificate.Leaf)
	require.NoError(t, err)
	s.write(t, "good.crl", string(testpki.CRLPEM(good)))
	s.write(t, "bad.crl", string(bad))
	s.write(t, "noise.crl", "noise")
	me := []string{"--client", "carol", "--secret-file", s.path("pw")}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"good":          {[]string{"--crl", s.path("good.crl"), "--revocation", "strict"}, report.ExitAllowed, ""},
		"revoked":       {[]string{"--crl", s.path("bad.crl")}, report.ExitFailure, "revoked"},
		"the newer one": {[]string{"--crl", s.path("bad.crl"), "--crl", s.path("good.crl")}, report.ExitFailure, "revoked"},
		"unknown":       {nil, report.ExitAllowed, ""},
		"names nothing": {[]string{"--revocation", "ifuri"}, report.ExitAllowed, ""},
		"strict":        {[]string{"--revocation", "strict"}, report.ExitFailure, "revocation = strict"},
		"no file":       {[]string{"--crl", s.path("none")}, report.ExitFailure, "there is no such file"},
		"no CRL":        {[]string{"--crl", s.path("noise.crl")}, report.ExitFailure, "--crl"},
		"no policy":     {[]string{"--revocation", "never"}, report.ExitUsage, "--revocation"},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.srv.Secrets()
			_, stderr, code := runTNC(t, append(append(s.args[:len(s.args):len(s.args)], me...), c.args...)...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.says)
			if code == report.ExitFailure {
				oneSentence(t, stderr, c.says)
			}
			require.Equal(t, code == report.ExitAllowed, s.srv.Secrets() > before, "the password goes to accepted servers only")
		})
	}
}

// The OCSP response that the server shows with its certificate counts.
func TestPTTLSStapledOCSP(t *testing.T) {
	for _, revoked := range []bool{true, false} {
		var staple *pttlstest.Config
		s := newPTSiteWith(t, pttlstest.AuthNone, imv.Policy{}, func(c *pttlstest.Config) { staple = c })
		response, err := s.ca.OCSP(staple.Certificate.Leaf, revoked, time.Now(), nil)
		require.NoError(t, err)
		cfg := *staple
		cfg.Certificate.OCSPStaple = response
		srv, err := pttlstest.New(cfg)
		require.NoError(t, err)
		defer srv.Close()
		_, port, err := net.SplitHostPort(srv.Addr())
		require.NoError(t, err)
		_, stderr, code := runTNC(t, append(s.args, "--port", port, "--revocation", "strict")...)
		if revoked {
			require.Equal(t, report.ExitFailure, code)
			oneSentence(t, stderr, "revoked")
		} else {
			require.Equal(t, report.ExitAllowed, code, stderr)
		}
	}
}
