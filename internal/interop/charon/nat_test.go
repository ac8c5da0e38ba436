package charon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
)

// A NAT between the two hosts, in a namespace of its own. It forgets the
// mapping under way and makes another one: the tunnel lives on.
func TestNAT(t *testing.T) {
	need.Program(t, "nft", "nftables")
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "    local_addrs = "+s.ClientAddr+"\n", "")
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    dpd_delay = 1s\n    vips = 0.0.0.0\n")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = pool\n")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  pool {\n    addrs = 10.3.0.0/24\n  }\n}\nsecrets {")
	loaded, err := s.swanctl("--load-all")
	require.NoError(t, err, loaded)
	nat := s.Behind(t)
	if err := nat.Translate("20000-20100"); err != nil {
		t.Skipf("SKIP needs NAT in the kernel: %v", err)
	}
	r := s.up()
	require.Contains(t, r.out.String(), "local host is behind NAT")
	require.NoError(t, s.ping("3"))
	log := func() string {
		b, err := os.ReadFile(filepath.Join(s.dir, "gw", "charon.log"))
		require.NoError(t, err)
		return string(b)
	}
	require.Contains(t, log(), nat.Addr+"[20")

	// The first answer with hashes is what later ones are compared with.
	r.waitFor("parsed INFORMATIONAL response 8 [ N(NATD_S_IP) N(NATD_D_IP) ]")
	require.NoError(t, nat.Translate("30000-30100"))
	nat.Forget(t)
	require.Eventually(t, func() bool { return strings.Contains(log(), nat.Addr+"[30") }, patience, 50*time.Millisecond,
		"the gateway hears from the new mapping")
	r.waitFor("NAT mappings of ESP CHILD_SAs changed, updating")
	require.Eventually(t, func() bool {
		_, err := netns.Run(s.Client, "ping", "-c", "1", "-W", "1", inside)
		return err == nil
	}, patience, 100*time.Millisecond, "the tunnel goes through the new mapping")
	require.Equal(t, 1, strings.Count(log(), "] established between"), "one IKE_SA all the time")
	require.NoError(t, r.stop())
	s.nothingLeft()
}
