package measure

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/pts"
)

// Of secrets a verifier learns nothing, unless measure_allow names them.
func TestSecretsAreRefused(t *testing.T) {
	const secrets = "/etc/shadow /etc/shadow- /etc/gshadow /srv/root/etc/shadow /etc/ipsec.secrets /etc/ipsec.d/private/x.pem /var/lib/strongswan/ipsec.secrets.inc" +
		" /etc/swanctl/private /etc/swanctl/private/own.pem /etc/swanctl/rsa/x /etc/swanctl/ecdsa/x /etc/swanctl/pkcs8/x /etc/swanctl/pkcs12/x" +
		" /etc/swanctl/swanctl.conf /etc/swanctl/conf.d/eap.conf /root/.ssh/id_rsa /home/me/.ssh /etc/krb5.keytab /run/tnc/home.sock"
	const others = "/etc /etc/passwd /etc/swanctl /etc/swanctl/x509/own.pem /etc/ipsec.conf /usr/bin/ssh /usr/share/shadow /run/tncx /private"
	for _, allow := range []string{"", "/", "/**", "/* /etc/* /etc/swanctl/* /srv/** /root /run"} {
		p, err := NewPolicy(strings.Fields(allow), nil)
		require.NoError(t, err)
		for _, name := range strings.Fields(secrets) {
			require.ErrorIs(t, p.Check(name), ErrRefused, "%s of allow %q", name, allow)
			require.ErrorIs(t, p.checkAsked(name), ErrRefused, name)
			require.ErrorIs(t, p.checkSetting(name), ErrRefused, name)
		}
	}
	for _, name := range strings.Fields(others) {
		require.NoError(t, Policy{}.Check(name), name)
	}
	for name, allow := range map[string]string{
		"/etc/shadow": "/etc/shadow", "/etc/shadow-": "/ /etc/shadow*", "/etc/swanctl/private/own.pem": "/etc/swanctl/private", "/home/me/.ssh/known_hosts": "/home/*/.ssh/known_hosts",
		"/etc/krb5.keytab": "/**/*.keytab", "/run/tnc/home.sock": "/run/tnc",
	} {
		p, err := NewPolicy(strings.Fields(allow), nil)
		require.NoError(t, err)
		require.NoError(t, p.Check(name), "%s of allow %q", name, allow)
	}
	p, err := NewPolicy([]string{"/etc/shadow"}, []string{"/etc/shadow"})
	require.NoError(t, err)
	require.ErrorIs(t, p.Check("/etc/shadow"), ErrRefused, "measure_deny has the last word")
}

// They are left out of directories, digests and metadata alike, also behind links.
func TestSecretsOfDirectories(t *testing.T) {
	d := t.TempDir()
	write(t, filepath.Join(d, "swanctl", "swanctl.conf"), "secret = x")
	write(t, filepath.Join(d, "swanctl", "other"), "x")
	key := write(t, filepath.Join(d, "swanctl", "private", "own.pem"), "key")
	got, err := Files{}.Measure(ctx, filepath.Join(d, "swanctl"), true, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "other", got[0].Name)
	meta, err := Files{}.Metadata(ctx, filepath.Join(d, "swanctl"), true)
	require.NoError(t, err)
	for _, m := range meta {
		require.NotContains(t, m.Name, "swanctl.conf")
	}
	for _, name := range []string{key, filepath.Join(d, "swanctl", "private", "..", "private", "own.pem")} {
		_, err = Files{}.Measure(ctx, name, false, pts.SHA256)
		require.ErrorIs(t, err, ErrRefused)
		_, err = Files{}.Metadata(ctx, name, false)
		require.ErrorIs(t, err, ErrRefused)
	}
	_, err = Files{}.Measure(ctx, filepath.Join(d, "swanctl", "private"), true, pts.SHA256)
	require.ErrorIs(t, err, ErrRefused)
}
