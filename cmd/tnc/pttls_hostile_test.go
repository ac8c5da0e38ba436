package main

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// Whoever answers in the server's place has a certificate made for the user's
// terminal: the error that holds its names does nothing there.
func TestPTTLSHostileNames(t *testing.T) {
	s := newPTSiteWith(t, pttlstest.AuthNone, imv.Policy{}, func(c *pttlstest.Config) {
		ca, err := testpki.NewCA("Other CA", testpki.ECDSA)
		require.NoError(t, err)
		c.Certificate, err = ca.Issue("other", testpki.ECDSA, func(c *x509.Certificate) {
			c.DNSNames = []string{"x\x1b[2J\x1b]0;owned\a\r\ntnc: access allowed"}
		})
		require.NoError(t, err)
	})
	for _, verbose := range []string{"-v", "-vv"} {
		_, stderr, code := runTNC(t, append(s.args, verbose)...)
		require.Equal(t, report.ExitFailure, code)
		require.Contains(t, stderr, "owned")
		require.NotContains(t, stderr, "\x1b")
		oneSentence(t, stderr, "owned", "no password was sent")
	}
}
