package charon

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/interop/resolved"
	"github.com/gotnc/gotnc/internal/need"
)

// On a machine with systemd-resolved the name servers of the gateway are those of
// the tunnel's device: after the end, and after a kill, they are gone.
func TestNamesWithSystemdResolved(t *testing.T) {
	if kernelESP() {
		t.Skip("SKIP the kernel's ESP has no device to give name servers to")
	}
	need.Root(t)
	resolvectl := resolved.Program(t, "/usr/bin/resolvectl", "systemd-resolved")
	start := resolved.Start(t)
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.edit("cl/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    vips = 0.0.0.0\n")
	s.edit("gw/swanctl/swanctl.conf", "    version = 2\n", "    version = 2\n    pools = pool\n")
	s.edit("gw/swanctl/swanctl.conf", "secrets {", "pools {\n  pool {\n    addrs = 10.3.0.0/24\n    dns = 10.1.0.53\n    25 = corp.test\n  }\n}\nsecrets {")
	out, err := s.swanctl("--load-all")
	require.NoError(t, err, out)

	dir := t.TempDir()
	machine := netns.Command(context.Background(), s.Client, "unshare", "-m", "sh", "-c", resolved.Machine(dir)+start+"\ntouch "+dir+"/ready\nexec sleep 600")
	machine.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, machine.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-machine.Process.Pid, syscall.SIGKILL)
		_ = machine.Wait()
	})
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil }, patience, 50*time.Millisecond)
	s.machine = []string{"nsenter", "-t", strconv.Itoa(machine.Process.Pid), "-m", "--"}
	ask := func(what string) string {
		t.Helper()
		out, err := netns.Run(s.Client, append(s.machine, resolvectl, what)...)
		require.NoError(t, err, out)
		return out
	}
	require.NotContains(t, ask("dns"), "10.1.0.53")

	r := s.up()
	require.Contains(t, r.out.String(), "installing DNS server 10.1.0.53 to systemd-resolved")
	require.Regexp(t, `\(tnc0\): 10\.1\.0\.53`, ask("dns"))
	require.Regexp(t, `\(tnc0\): ~corp\.test`, ask("domain"))
	status, err := s.tool("status", "home")
	require.NoError(t, err, status)
	require.Regexp(t, `DNS +10\.1\.0\.53, given to systemd-resolved`, status)
	doctor, _ := netns.Run(s.Client, append(s.machine, s.tnc, "doctor")...)
	require.Contains(t, doctor, "DNS servers of a gateway go to systemd-resolved: /etc/resolv.conf leads to it")
	require.NoError(t, r.stop())
	require.NotContains(t, ask("dns"), "10.1.0.53")

	r = s.up()
	require.Contains(t, ask("dns"), "10.1.0.53")
	require.NoError(t, r.cmd.Process.Kill())
	<-r.exit
	require.Eventually(t, func() bool { return !strings.Contains(ask("dns"), "10.1.0.53") }, patience, 50*time.Millisecond)
	r = s.up()
	require.Contains(t, ask("dns"), "10.1.0.53")
	require.NoError(t, r.stop())
	s.nothingLeft()
}
