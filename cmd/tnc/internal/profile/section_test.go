package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/settings"
)

// With swanctl.conf the section charon-systemd counts before charon, key by key,
// as in strongSwan's client; with ipsec.conf it does not, and is named.
func TestSectionsOfStrongswanConf(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	f := Files{TNCConfig: "/dev/null", Swanctl: write("swanctl.conf", ""), Strongswan: write("strongswan.conf", `charon-systemd {
  retransmit_tries = 1
  retransmit_trys = 1
  tls { version_max = 1.2
  }
  imcv { os_info { name = A
  } }
}
charon {
  retransmit_tries = 7
  retransmit_timeout = 0.3
}
charon-nm {
  keep_alive = 3
}
`)}
	says := func() string {
		var all []string
		for _, x := range f.Check(time.Now()) {
			all = append(all, string(x.Kind)+" "+strings.ReplaceAll(x.Text, dir+"/", ""))
		}
		return strings.Join(all, "\n")
	}
	p, err := f.LoadSettings()
	require.NoError(t, err)
	require.Equal(t, 1, p.Charon.RetransmitTries)
	require.Equal(t, 300*time.Millisecond, p.Charon.RetransmitTimeout)
	require.Equal(t, "1.2", p.Charon.TLS.VersionMax)
	require.Equal(t, "A", settings.OSName.In(p.Strongswan))
	require.Contains(t, p.environ(), "GOTNC_IMC_SECTION=charon-systemd")
	out := says()
	require.Contains(t, out, "note strongswan.conf:1: section charon-systemd is in force before charon")
	require.Contains(t, out, `warning strongswan.conf:3: setting "retransmit_trys" is not known in charon-systemd`)
	require.Contains(t, out, "warning strongswan.conf:14: setting charon-nm.keep_alive is not in force: it is for the program charon-nm; write it into charon")

	f.Swanctl, f.IPsecConf = "", write("ipsec.conf", "")
	p, err = f.LoadSettings()
	require.NoError(t, err)
	require.Equal(t, 7, p.Charon.RetransmitTries)
	require.NotContains(t, strings.Join(p.environ(), " "), "GOTNC_IMC_SECTION")
	out = says()
	require.Contains(t, out, "note strongswan.conf:1: section charon-systemd is not in force")
	require.Contains(t, out, "warning strongswan.conf:2: setting charon-systemd.retransmit_tries is not in force")
}

// What is wrong in conn %default is wrong with each conn; config check says it once.
func TestFindingsOfSeveralConnections(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "ipsec.conf")
	require.NoError(t, os.WriteFile(conf, []byte("conn %default\n\tkeyexchange=ikev1\n\tauthby=secret\n\tright=192.168.0.1\n\tauto=add\nconn a\nconn b\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ipsec.secrets"), []byte(": PSK x\n"), 0o600))
	f := Files{IPsecConf: conf, Strongswan: "/dev/null", TNCConfig: "/dev/null"}
	all, err := f.Show("")
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, s := range all {
		require.Len(t, s.Problems, 1, s.Name)
	}
	said := 0
	for _, found := range f.Check(time.Now()) {
		if found.Kind == Error {
			said++
		}
	}
	require.Equal(t, 1, said)
}
