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
