package secrets

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What lies in a place is known by its name too.
func TestPlacesAreSecrets(t *testing.T) {
	require.Greater(t, len(Places), 20)
	for _, p := range Places {
		require.NotEmpty(t, Component(strings.ReplaceAll(p, "*", "x")), p)
		require.NotEmpty(t, Component(strings.ReplaceAll(p, "*", "")+"/a/b"), p)
	}
}

func TestComponent(t *testing.T) {
	for name, want := range map[string]string{
		"/etc/shadow": "shadow", "/etc/gshadow-": "gshadow-", "/var/etc/shadow.bak": "shadow.bak", "/home/a/.ssh/id": ".ssh",
		"/etc/ipsec.secrets": "ipsec.secrets", "/x/ipsec.home.secrets.old": "ipsec.home.secrets.old", "/etc/ipsec.d/private/k": "private",
		"/a/swanctl/swanctl.conf~": "swanctl.conf~", "/a/swanctl/ecdsa/k.pem": "ecdsa", "/etc/krb5.keytab": "krb5.keytab",
		"/run/tnc": "tnc", "/run/tnc/home.sock": "tnc",
		"/etc": "", "/etc/passwd": "", "/usr/share/shadow": "", "/run/tnc2": "", "/etc/swanctl/x509/c.pem": "", "/etc/ipsec.conf": "", "/private/x": "", "": "",
	} {
		require.Equal(t, want, Component(name), name)
	}
}
