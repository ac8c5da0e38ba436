package tutorial

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/need"
)

// services stands for systemctl, swanctl and journalctl of a host whose service
// strongswan is the rig's client, with the IMCs of /etc/tnc_config.
const services = `#!/bin/bash
set -e
host=$RIG_DIR/carol
in_carol='ip netns exec carol env STRONGSWAN_CONF='$host/strongswan.conf' SWANCTL_DIR='$host/swanctl
case $(basename $0) in
swanctl) $in_carol $STRONGSWAN_PREFIX/sbin/swanctl "$@" --uri unix://$host/vici ;;
journalctl) cat $host/charon.log ;;
systemctl)
	[ "$*" = 'restart strongswan' ]
	kill $(cat $host/pid)
	for i in $(seq 100); do kill -0 $(cat $host/pid) 2> /dev/null || break; sleep 0.1; done
	rm -f $host/vici
	cp /etc/tnc_config $host/tnc_config; : > $host/charon.log
	$in_carol unshare -m sh -c "mount -t tmpfs tmpfs /run; exec $STRONGSWAN_PREFIX/libexec/ipsec/charon" > $host/out.log 2>&1 &
	echo $! > $host/pid
	for i in $(seq 100); do [ ! -S $host/vici ] || break; sleep 0.1; done
	swanctl --load-all > $host/load.log ;;
esac
`

// startStrongSwan is what the host of such a page has done before the first line: a
// client for charon and for tnc, and what the gateway knows, in /etc/ipsec.d.
const startStrongSwan = `set -e
printf 'IMC "%s" %s\n' OS $STRONGSWAN_PREFIX/lib/ipsec/imcvs/imc-os.so \
	Attestation $STRONGSWAN_PREFIX/lib/ipsec/imcvs/imc-attestation.so > /etc/tnc_config
$RIG moon > rig.log 2>&1
$RIG carol > rig.log 2>&1
systemctl restart strongswan
mkdir -p /etc/swanctl /etc/ipsec.d
cp -r $RIG_DIR/carol/swanctl/. /etc/swanctl/
ln -s $RIG_DIR/moon/db/config.db $RIG_DIR/aikca /etc/ipsec.d/
set +e
`

// strongSwan writes the stand-ins of services to tools, and holds the rig until the
// test ends. It returns what they need in the environment.
func strongSwan(t testing.TB, tools, home string) []string {
	t.Helper()
	rig := os.Getenv("GOTNC_RIG")
	if rig == "" {
		rig = filepath.Join(checkout(t), "../shared/rig/rig")
	}
	if _, err := os.Stat(rig); err != nil {
		t.Skipf("SKIP needs the rig: set GOTNC_RIG to its path (%v)", err)
	}
	need.Program(t, "sqlite3", "sqlite3")
	lock, err := os.OpenFile("/tmp/rig.lock", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	t.Cleanup(func() { lock.Close() })
	for _, name := range []string{"swanctl", "journalctl", "systemctl"} {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), []byte(services), 0o755))
	}
	return []string{"RIG=" + rig, "RIG_DIR=" + filepath.Join(home, "rig"), "STRONGSWAN_PREFIX=" + need.StrongSwan(t)}
}
