package strongswan

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
)

// throughput is what TCP gets through the tunnel, in bits a second, from the
// client to the gateway and back.
type throughput struct{ up, down float64 }

// iperf measures the tunnel that stands.
func (r *rig) iperf() throughput {
	r.t.Helper()
	one := func(more ...string) float64 { return netns.Iperf(r.t, "moon", "carol", "10.1.0.1", 4, more...) }
	return throughput{up: one(), down: one("-R")}
}

// User-space ESP over TUN, ours beside strongSwan's kernel-libipsec, in one run
// against the same gateway.
func TestThroughputBesideLibipsec(t *testing.T) {
	need.Program(t, "iperf3", "iperf3")
	r := newRig(t)
	r.must("moon")
	r.must("carol")
	require.Contains(t, r.must("connect"), "initiate completed successfully")
	theirs := r.iperf()
	r.must("stop", "carol")

	r.must("moon")
	r.must("client", r.lib)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := r.client(ctx, "up", "-v", "--dataplane", "tun")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		return exec.Command("ip", "netns", "exec", "carol", "ping", "-c", "1", "-W", "1", "10.1.0.1").Run() == nil
	}, 20*time.Second, 200*time.Millisecond, "no answer through the tunnel")
	ours := r.iperf()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "%s", &out)
	t.Logf("Mbit/s to the gateway and back: tnc %.0f and %.0f, strongSwan's kernel-libipsec %.0f and %.0f", ours.up/1e6, ours.down/1e6, theirs.up/1e6, theirs.down/1e6)
	for _, l := range strings.Split(out.String(), "\n") {
		if strings.Contains(l, "[CHD] in ") {
			t.Log(l)
		}
	}
	// The gateway's own libipsec limits both; a machine that is busy with other
	// things shifts figures by less than this.
	require.Greater(t, ours.up, theirs.up/2)
	require.Greater(t, ours.down, theirs.down/2)
}
