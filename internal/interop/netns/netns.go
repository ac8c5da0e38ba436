// Package netns makes pairs of network namespaces for tests: a client and a
// gateway on one link, as two hosts would be. It needs root and iproute2.
package netns

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gotnc/gotnc/internal/need"
)

// Pair is a gateway and a client joined by a veth link.
type Pair struct {
	Gateway, Client         string // names of the namespaces
	GatewayAddr, ClientAddr string // 192.168.0.1, 192.168.0.100
}

// New makes a Pair that is gone when the test ends. Protected networks behind
// the gateway (CIDR) become addresses of its loopback device.
func New(t testing.TB, protected ...string) *Pair {
	t.Helper()
	need.Root(t)
	need.Program(t, "ip", "iproute2")
	id := fmt.Sprintf("%d", os.Getpid())
	p := &Pair{Gateway: "tncgw" + id, Client: "tnccl" + id, GatewayAddr: "192.168.0.1", ClientAddr: "192.168.0.100"}
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "del", p.Gateway).Run()
		_ = exec.Command("ip", "netns", "del", p.Client).Run()
	})
	vg, vc := "vg"+id, "vc"+id
	lines := []string{
		"netns add " + p.Gateway, "netns add " + p.Client,
		"link add " + vg + " netns " + p.Gateway + " type veth peer name " + vc + " netns " + p.Client,
		"-n " + p.Gateway + " addr add " + p.GatewayAddr + "/24 dev " + vg,
		"-n " + p.Gateway + " link set " + vg + " up", "-n " + p.Gateway + " link set lo up",
		"-n " + p.Client + " addr add " + p.ClientAddr + "/24 dev " + vc,
		"-n " + p.Client + " link set " + vc + " up", "-n " + p.Client + " link set lo up",
	}
	for _, n := range protected {
		lines = append(lines, "-n "+p.Gateway+" addr add "+n+" dev lo")
	}
	for _, l := range lines {
		if out, err := exec.Command("ip", strings.Fields(l)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", l, err, out)
		}
	}
	return p
}

// Command prepares a command that runs in the namespace.
func Command(ctx context.Context, ns string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, args...)...)
}

// Run runs a command in the namespace and returns what it printed.
func Run(ns string, args ...string) (string, error) {
	out, err := Command(context.Background(), ns, args...).CombinedOutput()
	return string(out), err
}
