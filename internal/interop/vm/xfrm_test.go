package vm

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// xfrmTests are those of internal/interop/charon that send packets through a
// tunnel, and let the connection live and die.
const xfrmTests = "^(TestTunnelCarriesAPing|TestRekeyingLosesNoPacket|TestGatewayRekeys|TestAddressChange|TestNAT|TestReauthentication|TestStatusAndDown|TestKilledAtAnyMoment|TestESPAlgorithms|TestTrap)$"

// said is what the guest printed while a test ran.
func said(out, name string) string {
	start, end := strings.Index(out, "=== RUN   "+name), strings.Index(out, "--- FAIL: "+name)
	if start < 0 || end < start {
		return "it printed nothing"
	}
	return out[start:end]
}

var result = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+)`)

// ESP in a real kernel on both ends: traffic, rekeying, addresses that change,
// NAT, a peer that dies, a client that is killed.
func TestXFRMOnARealKernel(t *testing.T) {
	if os.Getenv("GOTNC_VMTEST") == "" {
		t.Skip("SKIP needs a virtual machine: run `make vmtest`")
	}
	need.Program(t, "/usr/lib/ipsec/charon", "strongswan-charon")
	need.Program(t, "nft", "nftables")
	vmlinuz := netKernel(t)
	root := testRoot(t, vmlinuz, image{
		folder: "charon", run: xfrmTests, env: []string{"GOTNC_DATAPLANE=xfrm"}, programs: []string{"/usr/lib/ipsec/charon", "/usr/sbin/swanctl"},
		libraries: []string{"/usr/lib/ipsec/plugins/*.so"},
	})
	start := time.Now()
	out, accel := boot(t, vmlinuz, root, []string{"--tpm2"})
	t.Logf("%s in %v:\n%s", accel, time.Since(start).Round(time.Second), out)
	passed := 0
	for _, m := range result.FindAllStringSubmatch(out, -1) {
		require.Equal(t, "PASS", m[1], "%s:\n%s", m[2], said(out, m[2]))
		if !strings.Contains(m[2], "/") {
			passed++
		}
	}
	require.Equal(t, strings.Count(xfrmTests, "|")+1, passed)
	require.Contains(t, out, "VM PASS")
}
