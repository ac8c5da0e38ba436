package identity

import (
	"crypto/x509"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/testpki"
)

func parse(t *testing.T, s string) message.Identity {
	t.Helper()
	id, err := message.ParseIdentity(s)
	require.NoError(t, err)
	return id
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want, id string
		match    Match
	}{
		{"%any", "moon.strongswan.org", Any},
		{"moon.strongswan.org", "MOON.strongswan.org", Perfect},
		{"moon.strongswan.org", "sun.strongswan.org", None},
		{"*.strongswan.org", "moon.strongswan.org", OneWild},
		{"*.strongswan.org", "strongswan.org", None},
		{"*@strongswan.org", "carol@strongswan.org", OneWild},
		{"*@strongswan.org", "moon.strongswan.org", None},
		{"*@strongswan.org", "carol@strongswan.org.evil", None},
		{"@*", "moon", Any},
		{"192.168.0.1", "192.168.0.1", Perfect},
		{"192.168.0.1", "192.168.0.2", None},
		{"fec0::1", "fec0:0::1", Perfect},
		{"192.168.0.0/24", "192.168.0.77", OneWild},
		{"192.168.0.0/24", "192.168.1.77", None},
		{"192.168.0.1-192.168.0.9", "192.168.0.9", OneWild},
		{"192.168.0.1-192.168.0.9", "192.168.0.10", None},
		{"192.168.0.1/32", "192.168.0.1", Perfect},
		{"192.168.0.0/24", "fec0::1", None},
		{"fec0::/16", "fec0::7", OneWild},
		{"192.168.0.0/24", "192.168.0.77.example.org", None},
		{"keyid:gw", "keyid:gw", Perfect},
		{"keyid:gw", "fqdn:gw", None},
		{"C=CH, O=Linux strongSwan, CN=moon.strongswan.org", "C=CH, O=linux strongswan, CN=moon.strongswan.org", Perfect},
		{"C=CH, O=Linux strongSwan, CN=*", "C=CH, O=Linux strongSwan, CN=moon.strongswan.org", OneWild},
		{"C=*, O=*, CN=*", "C=CH, O=Linux strongSwan, CN=moon.strongswan.org", Perfect - 3},
		{"C=CH, O=Linux strongSwan, CN=*", "C=DE, O=Linux strongSwan, CN=moon.strongswan.org", None},
		{"C=CH, O=Linux strongSwan, CN=*", "C=CH, CN=moon.strongswan.org", None},
		{"C=CH, CN=*", "CN=moon, C=CH", None},
		{"C=CH, O=strongSwan, CN=*", "C=CH, O=\u017ftrongSwan, CN=moon", None}, // long s
		{"*.strongswan.org", "moon.\u017ftrongswan.org", None},
		{"*.kernel.org", "moon.\u212aernel.org", None}, // Kelvin
	} {
		require.Equal(t, c.match, Matches(parse(t, c.want), parse(t, c.id)), "%s %s", c.want, c.id)
	}
	require.Equal(t, None, Matches(parse(t, "CN=*"), message.Identity{IDType: message.IDDERDN, Data: []byte{0x30, 0x80}}))
}

func TestIsPattern(t *testing.T) {
	for s, want := range map[string]bool{"%any": true, "*.example.org": true, "*@example.org": true, "CN=*": true, "C=CH, CN=moon": false, "moon": false, "192.0.2.1": false, "192.0.2.0/24": true, "keyid:*": false} {
		require.Equal(t, want, IsPattern(parse(t, s)), s)
	}
}

func TestHeld(t *testing.T) {
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("moon.example.org", testpki.ECDSA, func(c *x509.Certificate) {
		c.DNSNames = append(c.DNSNames, "*.wild.example.org")
		c.EmailAddresses = []string{"moon@example.org"}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}
		c.SubjectKeyId = []byte{1, 2, 3}
	})
	require.NoError(t, err)
	for s, want := range map[string]Match{
		"moon.example.org": Perfect, "MOON.example.org": Perfect, "*.example.org": OneWild, "sun.example.org": None,
		"a.wild.example.org": OneWild, "a.b.wild.example.org": None, ".wild.example.org": None,
		"moon@example.org": Perfect, "sun@example.org": None,
		"192.0.2.1": Perfect, "192.0.2.2": None, "2001:db8::1": Perfect, "2001:db8::2": None,
		"C=CH, O=gotnc, CN=moon.example.org": Perfect, "C=CH, O=gotnc, CN=*": OneWild, "CN=moon.example.org": None,
		"keyid:#010203": Perfect, "keyid:#0102": None, "%any": Any,
	} {
		require.Equal(t, want, Held(cert.Leaf, parse(t, s)), s)
	}
	require.Equal(t, []string{"moon.example.org", "*.wild.example.org", "moon@example.org", "192.0.2.1", "2001:db8::1", `"CN=moon.example.org,O=gotnc,C=CH"`}, Names(cert.Leaf))
}
