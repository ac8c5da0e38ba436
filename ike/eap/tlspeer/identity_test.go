package tlspeer

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

func TestMatchIdentity(t *testing.T) {
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("moon.strongswan.org", testpki.ECDSA, func(c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}
		c.EmailAddresses = []string{"moon@strongswan.org"}
		c.Subject.Organization = []string{"Linux, strongSwan"}
	})
	require.NoError(t, err)
	for id, want := range map[string]bool{
		"moon.strongswan.org":  true,
		"@MOON.strongswan.org": true,
		"sun.strongswan.org":   false,
		"*.strongswan.org":     false,
		"192.0.2.1":            true,
		"192.0.2.2":            false,
		"2001:db8::1":          true,
		"Moon@strongswan.org":  true,
		"sun@strongswan.org":   false,
		"%any":                 true,
		`C=CH, O="Linux, strongSwan", CN=moon.strongswan.org`: true,
		`c=ch,o="linux, strongswan",cn=*`:                     true,
		"/C=CH/O=Linux, strongSwan/CN=moon.strongswan.org":    true,
		"C=CH, CN=moon.strongswan.org":                        false,
		`C=CH, O="Linux, strongSwan", CN=sun.strongswan.org`:  false,
		`C=CH, OU="Linux, strongSwan", CN=*`:                  false,
	} {
		match, err := MatchIdentity(id)
		require.NoError(t, err, id)
		if err := match(cert.Leaf); want {
			require.NoError(t, err, id)
		} else {
			require.ErrorIs(t, err, errMismatch, id)
		}
	}
	for _, id := range []string{"", "XX=1", `CN="x`, `CN="x" y`, "/", "CN=a, b"} {
		if _, err := MatchIdentity(id); id == "/" {
			require.NoError(t, err) // no "=": a host name that never matches
		} else {
			require.Error(t, err, id)
		}
	}
}

func FuzzParseDN(f *testing.F) {
	f.Add(`C=CH, O="a, b", CN=*`)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseDN(s); err == nil && len(d) == 0 {
			t.Fatal("empty name")
		}
	})
}

func TestNothingBelowTLS12(t *testing.T) {
	cfg := Config{MinVersion: tls.VersionTLS10}
	require.EqualValues(t, tls.VersionTLS12, cfg.tlsConfig().MinVersion)
	cfg.MinVersion = tls.VersionTLS13
	require.EqualValues(t, tls.VersionTLS13, cfg.tlsConfig().MinVersion)
}
