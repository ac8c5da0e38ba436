package charon

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// Virtual IPs of both families, selectors that the gateway narrows, and packets
// of both through the tunnel.
func TestVirtualIPs(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    vips = 0.0.0.0, ::\n")
	s.edit("cl/swanctl/swanctl.conf", "remote_ts = 10.1.0.0/16", "remote_ts = 10.1.0.0/16, 2001:db8::/32")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = four, six\n")
	s.edit("gw/swanctl/swanctl.conf", "local_ts = 10.1.0.0/24", "local_ts = 10.1.0.0/24, 2001:db8:1::/64")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  four {\n    addrs = 10.3.0.0/24\n  }\n  six {\n    addrs = 2001:db8:3::/120\n  }\n}\nsecrets {")
	out, err := s.swanctl("--load-all")
	require.NoError(t, err, out)
	out, err = netns.Run(s.Gateway, "ip", "addr", "add", "2001:db8:1::1/128", "dev", "lo", "nodad")
	require.NoError(t, err, out)
	r := s.up()
	status, err := s.tool("status")
	require.NoError(t, err, status)
	require.Regexp(t, `virtual IP +10\.3\.0\.1 2001:db8:3::1`, status)
	require.Contains(t, status, "10.1.0.0/24 2001:db8:1::/64", "narrowed to what the gateway protects")
	require.NoError(t, s.ping("3"))
	out, err = netns.Run(s.Client, "ping", "-c", "3", "-i", "0.2", "-W", "3", "2001:db8:1::1")
	require.NoError(t, err, out)
	require.NoError(t, r.stop())
	s.nothingLeft()
	out, err = netns.Run(s.Client, "ip", "-6", "rule")
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 2, "an IPv6 rule was left behind: %s", out)
}

// A new IKE_SA has the virtual IP of the one that it replaces (make before break):
// addresses, routes and connections inside stay, no ping is lost. Where the gateway
// assigns another one, that one is used.
func TestVirtualIPKept(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    vips = 0.0.0.0\n    reauth_time = 3s\n    rand_time = 0\n    over_time = 60s\n")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = four\n    unique = never\n")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  four {\n    addrs = 10.3.0.0/24\n  }\n}\nsecrets {")
	out, err := s.swanctl("--load-all")
	require.NoError(t, err, out)
	r := s.up()
	counts := s.flood(5)
	r.waitFor("IKE_SA home[2] established")
	r.waitFor("deleting IKE_SA home[1]")
	sent, received := counts()
	require.Equal(t, sent, received, "packets were lost while the client reauthenticated")
	status, err := s.tool("status")
	require.NoError(t, err, status)
	require.Regexp(t, `virtual IP +10\.3\.0\.1\s`, status)
	require.NotContains(t, r.out.String(), "making a new data plane")

	s.edit("gw/swanctl/swanctl.conf", "pools = four", "pools = other")
	s.edit("gw/swanctl/swanctl.conf", "pools {\n", "pools {\n  other {\n    addrs = 10.4.0.0/24\n  }\n")
	out, err = s.swanctl("--load-all")
	require.NoError(t, err, out)
	r.waitFor("making a new data plane")
	require.Eventually(t, func() bool {
		status, err := s.tool("status")
		return err == nil && strings.Contains(status, "10.4.0.1 ") || strings.Contains(status, "10.4.0.1\n")
	}, patience, 50*time.Millisecond)
	require.NoError(t, s.ping("3"))
	require.NoError(t, r.stop())
	s.nothingLeft()
}

// The gateway sends the client to another address of its: it goes there, and
// says who sent it.
func TestRedirected(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("gw/swanctl/swanctl.conf", "    local_addrs = "+s.GatewayAddr+"\n", "")
	out, err := netns.Run(s.Gateway, "ip", "addr", "add", "192.168.0.2/24", "dev", s.deviceOf(s.Gateway, s.GatewayAddr))
	require.NoError(t, err, out)
	out, err = s.swanctl("--load-all")
	require.NoError(t, err, out)
	r := s.up()
	require.NoError(t, s.ping("2"))
	out, err = s.swanctl("--redirect", "--ike", "rw", "--gateway", "192.168.0.2")
	require.NoError(t, err, out)
	r.waitFor("initiating IKE_SA home[2] to 192.168.0.2")
	require.Eventually(t, func() bool { return r.count("] established between") == 2 }, patience, 50*time.Millisecond)
	require.Contains(t, r.out.String(), "N(REDIR_FROM)")
	require.NoError(t, s.ping("3"))
	require.NoError(t, r.stop())
	s.nothingLeft()
}
