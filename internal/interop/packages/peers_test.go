package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// machine is what `make peers` finds: programs that record how they are called.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine {
	m := machine{t, t.TempDir()}
	for _, d := range []string{"bin", "proc", "unpacked/systemd-resolved", "unpacked/openresolv", "unpacked/polkitd", "unpacked/apparmor"} {
		require.NoError(t, os.MkdirAll(filepath.Join(m.dir, d), 0o755))
	}
	m.program("id", "echo 0")
	m.program("ip", "")
	m.program("systemctl", `echo systemctl "$@" >>"$CALLS"`)
	m.program("apt-get", `echo apt-get "$@" >>"$CALLS"; [ ! -e "$GOTNC_POLICY" ] || echo "no service is started" >>"$CALLS"`)
	m.program("dpkg-query", `case " $INSTALLED " in *" $4 "*) echo "install ok installed" ;; *) exit 1 ;; esac`)
	return m
}

func (m machine) program(name, script string) {
	require.NoError(m.t, os.WriteFile(filepath.Join(m.dir, "bin", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

// peers runs the script, and returns what it says and calls.
func (m machine) peers(installed string) (said, calls string) {
	m.t.Helper()
	file := filepath.Join(m.dir, "calls")
	_ = os.Remove(file)
	cmd := exec.Command(need.Program(m.t, "sh", "dash"), filepath.Join(repository, "internal/interop/peers.sh"))
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(m.dir, "bin")+":"+os.Getenv("PATH"), "CALLS="+file, "INSTALLED="+installed,
		"GOTNC_PROC="+filepath.Join(m.dir, "proc"), "GOTNC_POLICY="+filepath.Join(m.dir, "policy-rc.d"), "GOTNC_UNPACKED="+filepath.Join(m.dir, "unpacked"))
	out, err := cmd.CombinedOutput()
	require.NoError(m.t, err, "%s", out)
	b, _ := os.ReadFile(file)
	return string(out), string(b)
}

// make peers stops no service, removes no package, and starts nothing.
func TestPeersLeavesServicesAlone(t *testing.T) {
	m := newMachine(t)
	said, calls := m.peers("")
	require.Contains(t, said, "installing the tests' peers: strongswan-charon")
	require.Contains(t, calls, "apt-get install -y -qq --no-remove --no-install-recommends strongswan-charon")
	require.Contains(t, calls, "no service is started")
	require.NotContains(t, calls, "--now")
	require.NotContains(t, calls, "stop")
	require.Contains(t, calls, "systemctl disable strongswan-starter\n", "what it installed does not start with the machine")
	require.NoFileExists(t, filepath.Join(m.dir, "policy-rc.d"))

	_, calls = m.peers("strongswan-starter strongswan-charon hostapd")
	require.Contains(t, calls, "apt-get install")
	require.NotContains(t, calls, "systemctl", "what was installed stays as it was")

	require.NoError(t, os.WriteFile(filepath.Join(m.dir, "policy-rc.d"), []byte("theirs"), 0o600))
	m.peers("")
	b, err := os.ReadFile(filepath.Join(m.dir, "policy-rc.d"))
	require.NoError(t, err)
	require.Equal(t, "theirs", string(b))
}

// A machine that is at work as a VPN gets nothing installed.
func TestPeersAsksNothingOfAVPN(t *testing.T) {
	for name, change := range map[string]func(m machine){
		"charon runs": func(m machine) { m.process("charon", "/usr/lib/ipsec/charon") },
		"pluto runs":  func(m machine) { m.process("pluto", "/usr/libexec/ipsec/pluto") },
		"tnc up runs": func(m machine) { m.process("tnc", "tnc\x00up\x00home\x00") },
		"the WireGuard device wg0 is there": func(m machine) {
			m.program("ip", `case "$*" in *wireguard*) echo "7: wg0: <POINTOPOINT,NOARP,UP> mtu 1420" ;; esac`)
		},
		"the kernel has IPsec policies": func(m machine) {
			m.program("ip", `case "$*" in *xfrm*) echo "	tmpl src 192.0.2.1 dst 192.0.2.2" ;; esac`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			change(m)
			said, calls := m.peers("")
			require.Empty(t, calls)
			require.Contains(t, said, "this machine is at work as a VPN ("+name+"): nothing is installed")
		})
	}
	m := newMachine(t)
	m.process("tnc", "tnc\x00doctor\x00")
	_, calls := m.peers("")
	require.Contains(t, calls, "apt-get install")
}

func (m machine) process(name, command string) {
	dir := filepath.Join(m.dir, "proc/77")
	require.NoError(m.t, os.MkdirAll(dir, 0o755))
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, "comm"), []byte(name+"\n"), 0o600))
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, "cmdline"), []byte(command), 0o600))
}
