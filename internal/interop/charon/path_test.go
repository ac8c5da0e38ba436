package charon

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// ipFragments counts the IP fragments that a host made and got so far.
func ipFragments(t *testing.T, ns string) (made, got string) {
	t.Helper()
	out, err := netns.Run(ns, "cat", "/proc/net/snmp")
	require.NoError(t, err, out)
	var names, values []string
	for l := range strings.Lines(out) {
		f := strings.Fields(l)
		switch {
		case len(f) == 0 || f[0] != "Ip:":
		case names == nil:
			names = f
		default:
			values = f
		}
	}
	require.Len(t, values, len(names))
	for i, n := range names {
		switch n {
		case "FragCreates":
			made = values[i]
		case "ReasmReqds":
			got = values[i]
		}
	}
	return made, got
}

// A certificate of more than 4 KiB crosses a path of 1,280 octets without one
// IP fragment: IKE cuts it.
func TestLargeCertificates(t *testing.T) {
	size := 0
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, fragment: 8000, certificate: func(c *x509.Certificate) {
		for i := range 80 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("name-%02d-that-is-long-enough-to-matter.gotnc.test", i))
			size += len(c.DNSNames[i])
		}
	}})
	require.Greater(t, size, 3500)
	cert, err := os.ReadFile(filepath.Join(s.dir, "gw", "swanctl", "x509", "gw.pem"))
	require.NoError(t, err)
	require.Greater(t, len(cert)*3/4, 4096, "octets of the certificate")
	for _, end := range []struct{ ns, addr string }{{s.Client, s.ClientAddr}, {s.Gateway, s.GatewayAddr}} {
		out, err := netns.Run(end.ns, "ip", "link", "set", s.deviceOf(end.ns, end.addr), "mtu", "1280")
		require.NoError(t, err, out)
	}
	_, stderr, code := s.run("attest", "-v")
	require.Zero(t, code, stderr)
	require.Regexp(t, `(?:received packet: from \S+ to \S+ \(1236 bytes\)\n.*){4}`, stderr, "the certificate came in IKE fragments")
	for _, ns := range []string{s.Client, s.Gateway} {
		made, got := ipFragments(t, ns)
		require.Equal(t, "0", made, "IP fragments that %s made", ns)
		require.Equal(t, "0", got, "IP fragments that %s got", ns)
	}
}
