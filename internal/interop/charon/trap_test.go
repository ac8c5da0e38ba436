package charon

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// upTrapped starts tnc up where it waits for packets.
func (s *site) upTrapped() *running {
	s.t.Helper()
	r := s.begin()
	r.waitFor("'home' routed, waiting for packets")
	return r
}

// ping sends n pings and returns how the last one ended.
func (s *site) ping(n string) error {
	s.t.Helper()
	out, err := netns.Run(s.Client, "ping", "-c", n, "-i", "0.2", "-W", "3", inside)
	if err != nil {
		s.t.Log(out)
	}
	return err
}

// start_action = trap: nothing is sent until a packet wants the tunnel, which
// then brings it up and, in user space, is itself answered.
func TestTrap(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "      home {\n", "      home {\n        start_action = trap\n        close_action = trap\n        dpd_action = trap\n")
	r := s.upTrapped()
	require.NotContains(t, r.out.String(), "initiating IKE_SA")
	out, err := s.tool("status")
	require.NoError(t, err, out)
	require.Regexp(t, `home +trapped`, out)
	var first bytes.Buffer
	cmd := netns.Command(context.Background(), s.Client, "ping", "-c", "1", "-W", "10", inside)
	cmd.Stdout, cmd.Stderr = &first, &first
	err = cmd.Run()
	require.Contains(t, r.out.String(), "creating acquire job")
	if !kernelESP() { // the kernel drops the packet that asks
		require.NoError(t, err, "the packet that wanted the tunnel went through it: %s", &first)
	}
	r.waitFor("connected; Ctrl-C")
	require.NoError(t, s.ping("3"))

	// The gateway closes the CHILD_SA: the next packet brings it back on the same IKE_SA.
	said, err := s.swanctl("--terminate", "--child", "rw")
	require.NoError(t, err, said)
	r.waitFor("waiting for packets to set the CHILD_SA up again")
	_ = exec.Command("ip", "netns", "exec", s.Client, "ping", "-c", "1", "-W", "5", inside).Run()
	r.waitFor("CHILD_SA home{2} established")
	require.NoError(t, s.ping("3"))
	require.Equal(t, 1, r.count("initiating IKE_SA"))

	// It ends the IKE_SA: the trap is back, and the next packet makes another.
	said, err = s.swanctl("--terminate", "--ike", "rw")
	require.NoError(t, err, said)
	require.Eventually(t, func() bool { return r.count("'home' routed") == 2 }, patience, 30*time.Millisecond)
	_ = exec.Command("ip", "netns", "exec", s.Client, "ping", "-c", "1", "-W", "5", inside).Run()
	require.Eventually(t, func() bool { return r.count("] established between") == 2 }, patience, 30*time.Millisecond)
	require.NoError(t, s.ping("3"))
	require.NoError(t, r.stop())
	s.nothingLeft()
}

// A trap that nothing fell into leaves nothing behind, and a virtual IP replaces
// the address that the trap was laid with.
func TestTrapWithVirtualIP(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "      home {\n", "      home {\n        start_action = trap\n")
	r := s.upTrapped()
	require.NoError(t, r.stop())
	s.nothingLeft()
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    vips = 0.0.0.0\n")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = pool\n")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  pool {\n    addrs = 10.3.0.0/24\n  }\n}\nsecrets {")
	out, err := s.swanctl("--load-all")
	require.NoError(t, err, out)
	r = s.upTrapped()
	_ = exec.Command("ip", "netns", "exec", s.Client, "ping", "-c", "1", "-W", "1", inside).Run()
	r.waitFor("connected; Ctrl-C")
	require.NoError(t, s.ping("2"))
	addrs, err := netns.Run(s.Client, "ip", "-o", "addr")
	require.NoError(t, err)
	require.Contains(t, addrs, "10.3.0.1")
	require.NoError(t, r.stop())
	s.nothingLeft()
}
