package strongswan

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// strokeCompared are the fields of a connection of ipsec.conf that charon tells.
var strokeCompared = regexp.MustCompile(`^(version|local_addrs|remote_addrs|local_port|remote_port|reauth_time|rekey_time|dpd_delay|(local|remote)-\d\.(class|id|eap-type|eap_id|aaa_id|ca_id|cert|cacert|group|revocation)|child .*\.(mode|rekey_time|dpd_action|close_action|local_ts|remote_ts))$`)

// loadIPsecConf loads the ipsec.conf in the daemon's etc, which starter reads, and
// returns what charon understood of it; said is why starter refuses it.
func (c *configCharon) loadIPsecConf(text string) (map[string]fields, string) {
	c.t.Helper()
	c.loads++
	sentinel := fmt.Sprintf("sentinel-%d", c.loads)
	c.write("ipsec.conf", text+"\n\nconn "+sentinel+"\n\tkeyexchange=ikev2\n\tleft=127.0.0.9\n\tright=127.0.0.8\n\tauthby=secret\n\tleftauth=psk\n\trightauth=psk\n\tike=aes128-sha256-modp2048\n\tesp=aes128-sha256\n\tauto=add\n")
	_, err := c.run(nil, filepath.Join(c.prefix, "libexec/ipsec/stroke"), "rereadall")
	require.NoError(c.t, err)
	before := len(c.daemonLog())
	require.NoError(c.t, syscall.Kill(c.pid, syscall.SIGUSR1))
	list := func() map[string]fields {
		out, err := c.swanctl(c.etc, "--list-conns", "--pretty")
		require.NoError(c.t, err, "%s", out)
		return listedConns(out)
	}
	previous := -1
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if said := c.daemonLog()[before:]; strings.Contains(said, "can't reload config file due to errors") {
			return nil, said
		}
		if strings.Contains(c.daemonLog()[before:], "ignored conn '"+sentinel+"'") { // a bad value in conn %default
			time.Sleep(300 * time.Millisecond)
			return list(), c.daemonLog()[before:]
		}
		all := list()
		if _, ok := all[sentinel]; ok {
			if len(all) == previous {
				delete(all, sentinel)
				return all, c.daemonLog()[before:]
			}
			previous = len(all)
		}
	}
	return nil, "timeout: " + c.daemonLog()[before:]
}

func (c *configCharon) daemonLog() string {
	b, err := os.ReadFile(c.daemon)
	require.NoError(c.t, err)
	return string(b)
}

// ipsecConf compares an ipsec.conf, whose secrets and ipsec.d are in the daemon's
// etc.
func (c *comparer) ipsecConf(text string) []outcome {
	theirs, said := c.charon.loadIPsecConf(text)
	c.charon.write("ipsec.conf", text) // without the sentinel
	ours, err := show(c.t, c.charon, c.program, "--ipsec-conf", filepath.Join(c.charon.etc, "ipsec.conf"), "--strongswan-conf", filepath.Join(c.charon.etc, "strongswan.conf"))
	for _, s := range ours {
		for i := range s.Children {
			s.Children[i].LocalTS, s.Children[i].RemoteTS = withoutContained(s.Children[i].LocalTS), withoutContained(s.Children[i].RemoteTS)
		}
	}
	return c.outcomes(theirs, said, ours, err, strokeCompared)
}

// withoutContained takes out what another selector covers, as charon's list does.
func withoutContained(names []string) (out []string) {
	all := make([]swanctl.TrafficSelector, len(names))
	for i, name := range names {
		name = strings.NewReplacer("..", "-", "OPAQUE", "opaque").Replace(name)
		var err error
		if all[i], err = swanctl.ParseTrafficSelector(name); err != nil {
			return names
		}
	}
	covers := func(a, b swanctl.TrafficSelector) bool {
		return a.Dynamic == b.Dynamic && (a.Dynamic || a.From.Is4() == b.From.Is4() && !b.From.Less(a.From) && !a.To.Less(b.To)) &&
			(a.Protocol == 0 || a.Protocol == b.Protocol) && a.FromPort <= b.FromPort && b.ToPort <= a.ToPort
	}
	for i, ts := range all {
		if !slices.ContainsFunc(all, func(o swanctl.TrafficSelector) bool { return o != ts && covers(o, ts) }) && !slices.Contains(all[:i], ts) {
			out = append(out, names[i])
		}
	}
	return out
}
