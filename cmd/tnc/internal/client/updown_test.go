package client

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

func ts(t *testing.T, text string) ike.TrafficSelector {
	t.Helper()
	s, err := ike.ParseTrafficSelector(text)
	require.NoError(t, err)
	return s
}

// A script runs once for each pair of selectors of one family, with strongSwan's
// variables.
func TestUpdown(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	c := &Client{plane: &dataplanetest.Plane{Describes: dataplane.Info{Device: "tnc0"}}, profile: &profile.Profile{Connection: &swanctl.Connection{Name: "home", IfIDIn: 7, Children: []*swanctl.Child{
		{Name: "net", MarkOut: swanctl.Mark{Value: 42, Mask: 0xff}, IfIDOut: 9},
	}}}}
	c.state.result.Identity, c.state.result.GatewayID, c.state.started = "carol", "moon", 3
	sa := &ike.ChildSA{
		Name: "net", Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("192.0.2.2:4500"), Encap: true,
		LocalTS:  []ike.TrafficSelector{ts(t, "10.3.0.1/32"), ts(t, "2001:db8:3::1/128")},
		RemoteTS: []ike.TrafficSelector{ts(t, "10.1.0.0/16"), ts(t, "10.2.0.0/16"), ts(t, "2001:db8:1::/64")},
		Internal: ike.Internal{
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.3.0.1/32"), netip.MustParsePrefix("2001:db8:3::1/128")},
			DNS:       []netip.Addr{netip.MustParseAddr("10.1.0.53"), netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("10.1.0.54")},
		},
	}
	command := "env | grep ^PLUTO_ | LC_ALL=C sort | tr '\\n' ' ' >>" + said + "; echo >>" + said
	require.NoError(t, runUpdown(command, "up", c.updownEnvironment(sa), sa))
	b, err := os.ReadFile(said)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	require.Len(t, lines, 3)
	all := func(verb, mine, peer string) string {
		return "PLUTO_CONNECTION=net PLUTO_DNS4_1=10.1.0.53 PLUTO_DNS4_2=10.1.0.54 PLUTO_DNS6_1=2001:db8::53 PLUTO_IF_ID_IN=7 PLUTO_IF_ID_OUT=9 PLUTO_INTERFACE=tnc0 " +
			"PLUTO_MARK_OUT=42/0x000000ff PLUTO_ME=192.0.2.1 PLUTO_MY_CLIENT=" + mine + " PLUTO_MY_ID=carol PLUTO_MY_PORT=0 PLUTO_MY_PROTOCOL=0 " +
			"PLUTO_MY_SOURCEIP4_1=10.3.0.1 PLUTO_MY_SOURCEIP6_1=2001:db8:3::1 PLUTO_MY_SOURCEIP=10.3.0.1 PLUTO_PEER=192.0.2.2 PLUTO_PEER_CLIENT=" + peer + " PLUTO_PEER_ID=moon " +
			"PLUTO_PEER_PORT=0 PLUTO_PEER_PROTOCOL=0 PLUTO_PROTO=esp PLUTO_REQID=1 PLUTO_UDP_ENC=4500 PLUTO_UNIQUEID=3 PLUTO_VERB=" + verb + " PLUTO_VERSION=1.1"
	}
	require.Equal(t, all("up-client", "10.3.0.1/32", "10.1.0.0/16"), strings.TrimSpace(lines[0]))
	require.Equal(t, all("up-client", "10.3.0.1/32", "10.2.0.0/16"), strings.TrimSpace(lines[1]))
	require.Equal(t, all("up-client-v6", "2001:db8:3::1/128", "2001:db8:1::/64"), strings.TrimSpace(lines[2]))
	require.ErrorContains(t, runUpdown("echo no >&2; exit 4", "down", nil, sa), "exit status 4: no")
}

// What the gateway calls itself is a value for a script, and nothing to a shell.
func TestUpdownOfHostileIdentity(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	c := &Client{plane: &dataplanetest.Plane{}, profile: &profile.Profile{Connection: &swanctl.Connection{Name: "home"}}}
	sa := &ike.ChildSA{Name: "net", LocalTS: []ike.TrafficSelector{ts(t, "10.3.0.1/32")}, RemoteTS: []ike.TrafficSelector{ts(t, "10.1.0.0/16")}}
	for id, want := range map[string]string{
		"C=CH, O=Mond & Söhne, CN=moon.example.org": "C=CH, O=Mond _ Söhne, CN=moon.example.org",
		"$(touch " + dir + "/x).example.org":        "__touch " + dir + "/x_.example.org",
		"`id`;reboot|sh>x":                          "_id__reboot_sh_x",
		"a\nPLUTO_X=1":                              "a_PLUTO_X=1",
		"a\x00b\x1b[31m*?'\"\\":                     "a_b__31m_____",
	} {
		c.state.result.GatewayID = id
		require.NoError(t, os.RemoveAll(said))
		require.NoError(t, runUpdown("eval echo $PLUTO_PEER_ID; printf %s \"$PLUTO_PEER_ID\" >"+said, "up", c.updownEnvironment(sa), sa), "%q", id)
		b, err := os.ReadFile(said)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
	require.NoFileExists(t, filepath.Join(dir, "x"))
}
