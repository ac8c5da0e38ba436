// Package resolved makes machines for tests of name servers: a copy of /etc, a bus,
// the real systemd-resolved, in namespaces of their own, so that nothing of the
// outside is changed.
package resolved

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gotnc/gotnc/internal/need"
)

// Program returns the path of a program that is installed, or that
// internal/interop/peers.sh unpacked, since installing it takes resolv.conf over.
func Program(t *testing.T, path, debianPackage string) string {
	t.Helper()
	unpacked := os.Getenv("GOTNC_UNPACKED")
	if unpacked == "" {
		unpacked = "/var/cache/gotnc/unpacked"
	}
	for _, p := range []string{path, filepath.Join("/usr", path), filepath.Join(unpacked, debianPackage, path)} {
		if to, err := filepath.EvalSymlinks(p); err == nil && filepath.Base(to) != "resolvectl" || err == nil && filepath.Base(path) == "resolvectl" {
			return p
		}
	}
	return need.Program(t, path, debianPackage)
}

// Machine is a shell script that makes a machine of the mount namespace that it
// runs in; dir is an empty folder.
func Machine(dir string) string {
	return `set -e
mount --make-rprivate /
cp -a /etc ` + dir + `/etc
mount --bind ` + dir + `/etc /etc
mount -t tmpfs tmpfs /run
rm -f /etc/resolv.conf
cd ` + dir + "\n"
}

// Start is a shell script that starts a bus and systemd-resolved on a Machine, and
// has resolv.conf lead to it. They are in the process group of the shell.
func Start(t *testing.T) string {
	t.Helper()
	need.Program(t, "dbus-daemon", "dbus-daemon")
	return `
grep -q ^systemd-resolve: /etc/passwd || { echo systemd-resolve:x:993:993::/:/bin/false >>/etc/passwd; echo systemd-resolve:x:993: >>/etc/group; }
mkdir -p /run/dbus /run/systemd/resolve
chown systemd-resolve: /run/systemd/resolve
cat >bus.conf <<'END'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
    <allow send_type="method_return"/> <allow send_type="error"/> <allow receive_type="method_call"/>
    <allow receive_type="signal"/> <allow receive_type="method_return"/> <allow receive_type="error"/>
  </policy>
</busconfig>
END
dbus-daemon --config-file=bus.conf --nofork --nopidfile &
for i in $(seq 100); do [ -e /run/dbus/system_bus_socket ] && break; sleep 0.1; done
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket
printf '[Resolve]\nDNS=192.0.2.1\nFallbackDNS=\nDNSSEC=no\n' >/etc/systemd/resolved.conf
ln -s /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
` + Program(t, "/lib/systemd/systemd-resolved", "systemd-resolved") + ` &
for i in $(seq 100); do [ -e /run/systemd/resolve/stub-resolv.conf ] && break; sleep 0.1; done
`
}
