package strongswan

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// configCharon is a charon that only loads configurations, in a network and a
// mount namespace of its own: nothing of the machine is read or changed.
type configCharon struct {
	t      *testing.T
	prefix string
	etc    string // what is mounted over the prefix's etc
	log    string
	daemon string // file with the daemon's standard error
	cmd    *exec.Cmd
	pid    int   // in whose namespaces it is
	read   int64 // octets of the log
	loads  int   // of ipsec.conf
}

// charonSettings are those of strongswan.conf: the log tells each field of what
// vici loads, and nothing is repeated where a connection starts.
const charonSettings = `charon {
  load = random drbg nonce openssl pem pkcs1 pkcs8 pkcs12 pubkey x509 constraints vici stroke kernel-netlink socket-default updown eap-identity eap-md5 eap-mschapv2 eap-gtc eap-tls eap-ttls eap-peap
  retransmit_tries = 0
  install_routes = no
  filelog {
    log {
      path = LOG
      default = 0
      cfg = 2
      flush_line = yes
    }
  }
}
starter {
  load_warning = no
}
swanctl {
  load = random openssl pem pkcs1 pkcs8 pkcs12 pubkey x509
}
`

// newConfigCharon starts charon, or starter, which starts charon.
func newConfigCharon(t *testing.T, daemon string, args ...string) *configCharon {
	t.Helper()
	return startConfigCharon(t, charonSettings, daemon, args...)
}

func startConfigCharon(t *testing.T, settings, daemon string, args ...string) *configCharon {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	c := &configCharon{t: t, prefix: need.StrongSwan(t), etc: filepath.Join(dir, "etc"), log: filepath.Join(dir, "charon.log"), daemon: filepath.Join(dir, "daemon.log")}
	for _, sub := range []string{"swanctl", "ipsec.d/cacerts", "ipsec.d/certs", "ipsec.d/private", "ipsec.d/ocspcerts", "ipsec.d/crls", "ipsec.d/aacerts", "ipsec.d/acerts"} {
		require.NoError(t, os.MkdirAll(filepath.Join(c.etc, sub), 0o755))
	}
	c.write("strongswan.conf", strings.ReplaceAll(settings, "LOG", c.log))
	c.write("ipsec.conf", "")
	c.write("ipsec.secrets", "")
	// The mounts are private to the namespace that unshare makes.
	script := `mount -t tmpfs none "$(readlink -f /var/run)" && mount --bind "$0" "$1/etc" && ip link set lo up && shift && exec "$@"`
	full := append([]string{"-m", "-n", "sh", "-c", script, c.etc, c.prefix, filepath.Join(c.prefix, "libexec/ipsec", daemon)}, args...)
	c.cmd = exec.Command("unshare", full...)
	c.cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+filepath.Join(c.etc, "strongswan.conf"))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, err := os.Create(c.daemon)
	require.NoError(t, err)
	t.Cleanup(func() { out.Close() })
	c.cmd.Stdout, c.cmd.Stderr = out, out
	require.NoError(t, c.cmd.Start())
	c.pid = c.cmd.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(-c.pid, syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = c.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-c.pid, syscall.SIGKILL)
			<-done
		}
	})
	require.Eventually(t, func() bool {
		_, err := c.swanctl(c.etc, "--stats")
		return err == nil
	}, 30*time.Second, 50*time.Millisecond, "charon answers")
	return c
}

func (c *configCharon) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.etc, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o600))
}

// run runs a program in the daemon's namespaces.
func (c *configCharon) run(env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(c.pid), "-m", "-n"}, args...)...)
	cmd.Env = append(append(os.Environ(), "STRONGSWAN_CONF="+filepath.Join(c.etc, "strongswan.conf")), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// swanctl runs swanctl with the swanctl.conf of dir.
func (c *configCharon) swanctl(dir string, args ...string) (string, error) {
	return c.run([]string{"SWANCTL_DIR=" + dir}, append([]string{filepath.Join(c.prefix, "sbin/swanctl")}, args...)...)
}

// logged returns what charon logged since the last call.
func (c *configCharon) logged() string {
	b, err := os.ReadFile(c.log)
	require.NoError(c.t, err)
	from := c.read
	c.read = int64(len(b))
	return string(b[from:])
}

// loadSwanctl loads dir/swanctl.conf, and returns what charon understood of each
// connection, by field, and what swanctl says.
func (c *configCharon) loadSwanctl(dir string) (map[string]fields, string) {
	c.t.Helper()
	empty := filepath.Join(c.etc, "empty")
	require.NoError(c.t, os.MkdirAll(empty, 0o755))
	require.NoError(c.t, os.WriteFile(filepath.Join(empty, "swanctl.conf"), nil, 0o600))
	_, _ = c.swanctl(empty, "--load-all", "--clear", "--noprompt")
	c.logged()
	said, _ := c.swanctl(dir, "--load-all", "--clear", "--noprompt")
	loaded := map[string]fields{}
	all := viciLog(c.logged())
	for name, f := range all {
		if strings.Contains(said, "loaded connection '"+name+"'") {
			loaded[name] = f
		}
	}
	return loaded, said
}
