package resolvconf

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/interop/resolved"
	"github.com/gotnc/gotnc/internal/need"
)

// The tests of this file run the real systemd-resolved and openresolv, each on a
// machine of its own: namespaces of mounts, processes and network, with a copy of
// /etc, a bus, and nothing of the outside changed.

const insideVariable = "GOTNC_TEST_INSIDE"

// inside runs this test again on a machine of its own, after the script, and reports
// whether this is that run.
func inside(t *testing.T, script string) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	need.Root(t)
	need.Program(t, "unshare", "util-linux")
	need.Program(t, "ip", "iproute2")
	all := resolved.Machine(t.TempDir()) + `ip link set lo up
ip link add tnc0 type veth peer name peer0
ip addr add 10.1.0.53/32 dev tnc0
ip link set peer0 up
ip link set tnc0 up
` + script + "\nexec \"$@\""
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c", all, "sh", self, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
	return false
}

// serveNames answers every query of a name below a domain with an address.
func serveNames(t *testing.T, at, address string) {
	t.Helper()
	pc, err := net.ListenPacket("udp4", at+":53")
	require.NoError(t, err)
	t.Cleanup(func() { pc.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			end := 12
			for b[end] != 0 {
				end += 1 + int(b[end])
			}
			kind, out := b[end+2], append([]byte(nil), b[:end+5]...)
			_ = n
			out[2], out[3] = 0x84, 0x80
			clear(out[6:12])
			if kind == 1 {
				out[7] = 1
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
				out = append(out, net.ParseIP(address).To4()...)
			}
			_, _ = pc.WriteTo(out, from)
		}
	}()
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

// systemd-resolved gets the name servers for the tunnel's device, asks them for the
// domains of the gateway or for all names, and forgets them at the end and with the
// device.
func TestSystemdResolved(t *testing.T) {
	resolvectl := resolved.Program(t, "/usr/bin/resolvectl", "systemd-resolved")
	if !inside(t, resolved.Start(t)) {
		return
	}
	ctx := t.Context()
	p := Find(ctx, Config{Key: "home", Device: "tnc0"})
	require.Equal(t, Resolved, p.Way, p.Why)
	require.Equal(t, "/etc/resolv.conf leads to it", p.Why)
	require.Empty(t, p.Limits)
	about := func(what string) string {
		_, rest, _ := strings.Cut(output(t, resolvectl, what, "tnc0"), "): ")
		return rest
	}
	require.NoError(t, p.Install(ctx, addrs("10.1.0.53", "2001:db8::53"), []string{"corp.test", "a b;\nevil.test", "corp.test."}))
	require.Equal(t, "10.1.0.53 2001:db8::53", about("dns"))
	require.Equal(t, "~corp.test ~abevil.test", about("domain"))
	require.Equal(t, "no", about("default-route"))
	require.Equal(t, "no", about("llmnr"))
	require.NoError(t, p.Remove(ctx))
	require.NotContains(t, output(t, resolvectl, "dns", "tnc0"), "10.1.0.53")

	serveNames(t, "10.1.0.53", "10.1.0.99")
	require.NoError(t, p.Install(ctx, addrs("10.1.0.53"), nil))
	require.Equal(t, "~.", about("domain"))
	require.Equal(t, "yes", about("default-route"))
	require.Contains(t, output(t, resolvectl, "query", "-4", "www.corp.test"), "10.1.0.99", "the gateway's server answers")
	require.NoError(t, p.Remove(ctx))
	require.NoError(t, p.Remove(ctx), "nothing to remove")

	// A device that is new, and a run that was killed with it.
	output(t, "ip", "link", "add", "tnc7", "type", "veth", "peer", "name", "peer7")
	output(t, "ip", "link", "set", "tnc7", "up")
	q := Find(ctx, Config{Key: "home", Device: "tnc7"})
	require.NoError(t, q.Install(ctx, addrs("10.1.0.53"), nil))
	output(t, "ip", "link", "del", "tnc7")
	require.NoError(t, q.Remove(ctx))
	require.Eventually(t, func() bool { return !strings.Contains(output(t, resolvectl, "dns"), "10.1.0.53") }, 5*time.Second, 50*time.Millisecond)

	// Without a device, and from another network namespace.
	none := Find(ctx, Config{Key: "home"})
	require.Equal(t, File, none.Way)
	require.Contains(t, none.Limits, "takes name servers for a network device")
	runtime.LockOSThread()
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
	other := Find(ctx, Config{Key: "home", Device: "lo"})
	require.Equal(t, File, other.Way)
	require.Contains(t, other.Limits, "in another network namespace")
}

// systemd's resolvconf is resolvectl by another name: what is not in force is not
// used, whatever is installed.
func TestSystemdResolvedThatDoesNotRun(t *testing.T) {
	dir := t.TempDir()
	ctl := filepath.Join(dir, "resolvectl")
	require.NoError(t, os.WriteFile(ctl, []byte("#!/bin/sh\nexit 0\n"), 0o755))
	require.NoError(t, os.Symlink(ctl, filepath.Join(dir, "resolvconf")))
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "none"))
	system := filepath.Join(dir, "resolv.conf")
	for content, why := range map[string]string{
		"# This is /run/systemd/resolve/stub-resolv.conf managed by man:systemd-resolved(8).\nnameserver 127.0.0.53\n": "which does not run",
		"# Generated by NetworkManager\nnameserver 192.0.2.1\n":                                                        "NetworkManager writes it",
		"# Generated by resolvconf\nnameserver 192.0.2.1\n":                                                            "which is not installed",
		"nameserver 192.0.2.1\n": "nothing else manages it",
	} {
		require.NoError(t, os.WriteFile(system, []byte(content), 0o644))
		p := Find(t.Context(), Config{Key: "home", Device: "tnc0", system: system, etc: dir, command: filepath.Join(dir, "resolvconf")})
		require.Equal(t, File, p.Way)
		require.Equal(t, system, p.File)
		require.Contains(t, p.Why, why)
		require.NoError(t, p.Install(t.Context(), addrs("10.1.0.53"), nil))
		b, err := os.ReadFile(system)
		require.NoError(t, err)
		require.Equal(t, "nameserver 10.1.0.53   # by tnc, from home\n"+content, string(b))
		require.NoError(t, p.Remove(t.Context()))
		b, err = os.ReadFile(system)
		require.NoError(t, err)
		require.Equal(t, content, string(b))
	}
}

// openresolv puts the name servers of the tunnel before those of other devices.
func TestOpenresolv(t *testing.T) {
	command := resolved.Program(t, "/sbin/resolvconf", "openresolv")
	if !inside(t, fmt.Sprintf(`
cp -a %[1]s/etc/resolvconf.conf /etc/ 2>/dev/null || true
sed "s|/lib/resolvconf|%[1]s/lib/resolvconf|" %[2]s >/run/resolvconf-command
chmod 755 /run/resolvconf-command
printf 'nameserver 192.0.2.1\nsearch home.test\n' | /run/resolvconf-command -a eth0.dhcp
/run/resolvconf-command -u
`, filepath.Dir(filepath.Dir(command)), command)) {
		return
	}
	read := func() string {
		b, err := os.ReadFile("/etc/resolv.conf")
		require.NoError(t, err)
		return string(b)
	}
	before := read()
	require.Contains(t, before, "nameserver 192.0.2.1")
	p := Find(t.Context(), Config{Key: "home", Device: "tnc0", command: "/run/resolvconf-command"})
	require.Equal(t, Resolvconf, p.Way, p.Why)
	require.NoError(t, p.Install(t.Context(), addrs("10.1.0.53", "2001:db8::53"), []string{"corp.test"}))
	require.Regexp(t, `(?s)nameserver 10\.1\.0\.53\nnameserver 2001:db8::53\nnameserver 192\.0\.2\.1`, read())
	require.Regexp(t, `(?m)^search .*corp\.test`, read())
	require.NoError(t, p.Remove(t.Context()))
	require.Equal(t, before, read())
	require.NoError(t, p.Remove(t.Context()), "nothing to remove")
}

// What the part of a test that runs as another user is told: what it may do, and
// where resolvectl is.
const (
	asVariable  = "GOTNC_TEST_AS"
	ctlVariable = "GOTNC_TEST_RESOLVECTL"
)

// The unit's user, which is not root, gives systemd-resolved name servers because of
// dist/tnc.rules; another user may not, and without the rule neither may.
func TestPolkitRule(t *testing.T) {
	if as := os.Getenv(asVariable); as != "" {
		p := Find(t.Context(), Config{Key: "home", Device: "tnc0"})
		require.Equal(t, Resolved, p.Way, p.Why)
		err := p.Install(t.Context(), addrs("10.1.0.53"), []string{"corp.test"})
		if as != "allowed" {
			require.Error(t, err)
			require.NotContains(t, output(t, os.Getenv(ctlVariable), "dns", "tnc0"), "10.1.0.53")
			return
		}
		require.NoError(t, err)
		require.Contains(t, output(t, os.Getenv(ctlVariable), "dns", "tnc0"), "10.1.0.53")
		require.NoError(t, p.Remove(t.Context()))
		require.NotContains(t, output(t, os.Getenv(ctlVariable), "dns", "tnc0"), "10.1.0.53")
		return
	}
	resolvectl := resolved.Program(t, "/usr/bin/resolvectl", "systemd-resolved")
	polkitd := resolved.Program(t, "/usr/lib/polkit-1/polkitd", "polkitd")
	rule, err := filepath.Abs("../../../../dist/tnc.rules")
	require.NoError(t, err)
	if !inside(t, `
cp `+rule+` /run/tnc.rules
mkdir -p /run/share/polkit-1/actions /run/rules
cp `+filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(resolvectl))), "usr/share/polkit-1/actions/org.freedesktop.resolve1.policy")+` /run/share/polkit-1/actions/
mount -t overlay -o lowerdir=/run/share:/usr/share overlay /usr/share
[ ! -d /usr/share/polkit-1/rules.d ] || mount --bind /run/rules /usr/share/polkit-1/rules.d
rm -rf /etc/polkit-1
mkdir -p /etc/polkit-1/rules.d
mkdir -p /run/lib && mount --bind /run/lib /var/lib && mkdir -p /var/lib/polkit-1
grep -q ^polkitd: /etc/passwd || { echo polkitd:x:64502:64502::/:/bin/false >>/etc/passwd; echo polkitd:x:64502: >>/etc/group; }
echo tnc:x:64501:64501::/:/bin/false >>/etc/passwd
echo tnc:x:64501: >>/etc/group
`+resolved.Start(t)) {
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	b, err := os.ReadFile(self)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/run/self", b, 0o755)) // other users cannot read go test's folder
	run := func(as string, uid uint32) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/run/self", "-test.run", "^TestPolkitRule$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), asVariable+"="+as, ctlVariable+"="+resolvectl)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", as, out)
	}
	polkit := func() func() {
		cmd := exec.Command(polkitd, "--no-debug")
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool {
			return exec.Command("dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.DBus.Peer.Ping").Run() == nil
		}, 20*time.Second, 100*time.Millisecond)
		return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	}
	stop := polkit()
	run("refused, no rule", 64501)
	stop()
	b, err = os.ReadFile("/run/tnc.rules")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/etc/polkit-1/rules.d/50-tnc.rules", b, 0o644))
	defer polkit()()
	run("allowed", 64501)
	run("refused, another user", 65534)
}
