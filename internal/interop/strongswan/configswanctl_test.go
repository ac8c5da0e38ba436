package strongswan

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// text returns the swanctl.conf of the case.
func (k swanctlCase) text() string {
	if k.whole != "" {
		return k.whole
	}
	section := func(head, base, more, inner string) string {
		set := map[string]string{}
		var keys []string
		for _, line := range strings.Split(base+"\n"+more, "\n") {
			key, value, ok := strings.Cut(line, "=")
			if key = strings.TrimSpace(key); !ok {
				continue
			}
			if _, have := set[key]; !have {
				keys = append(keys, key)
			}
			set[key] = strings.TrimSpace(value)
		}
		var b strings.Builder
		b.WriteString(head + " {\n")
		for _, key := range keys {
			if set[key] != "" {
				b.WriteString(key + " = " + set[key] + "\n")
			}
		}
		return b.String() + inner + "}\n"
	}
	inner := section("local", "auth = pubkey\ncerts = carolCert.pem\nid = carol@strongswan.org", k.local, "") +
		section("remote", "auth = pubkey\nid = moon.strongswan.org", k.remote, "") +
		"children {\n" + section("home", "remote_ts = 10.1.0.0/16", k.child, "") + "}\n"
	return "connections {\n" + section("home", "remote_addrs = 192.168.0.1", k.conn, inner) + "}\nsecrets {\n" + k.secrets + "\n}\n"
}

// TestConfigCasesSwanctl compares small files of swanctl.conf.
func TestConfigCasesSwanctl(t *testing.T) {
	charon := newConfigCharon(t, "charon")
	c := newComparer(t, charon)
	for _, k := range swanctlCases {
		t.Run(k.name, func(t *testing.T) {
			charon.t, c.t = t, t
			dir := t.TempDir()
			standIns(t, dir, k.text())
			want := k.want
			if want == "" {
				want = same
			}
			out := c.swanctl(dir)
			require.NotEmpty(t, out)
			for _, o := range out {
				require.Equal(t, want, o.kind, "%s: %s\n%s", o.name, strings.Join(o.details, "\n"), k.text())
				if _, ok := refusedOnPurpose(o.details); want == onlyTheirs {
					require.True(t, ok, "not in the table of refusals: %s", o.details)
				}
			}
		})
	}
}
