package tutorial

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// products are both products as `make install` leaves them: below /usr/local of
// root, or, where the test is not root, below prefix.
type products struct{ root, prefix string }

var built products

// checkout is the folder of this module's sources.
func checkout(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	require.NoError(t, err)
	return dir
}

// build makes and installs the products, once.
func build(t testing.TB) products {
	t.Helper()
	need.Program(t, "make", "make")
	need.Program(t, "gcc", "gcc")
	if built.root != "" {
		return built
	}
	dir, err := os.MkdirTemp("", "tutorial-products")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	p := products{root: dir, prefix: dir + "/usr/local"}
	where := []string{"PREFIX=" + p.prefix, "DESTDIR="}
	if os.Geteuid() == 0 {
		where = []string{"PREFIX=/usr/local", "DESTDIR=" + dir}
	}
	make := func(args ...string) {
		out, err := exec.Command("make", append([]string{"-C", checkout(t), "VERSION=v0.0.0"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	// While a page is written: the folder of products that `make lib tnc` built.
	from := os.Getenv("GOTNC_TUTORIAL_BUILD")
	if from == "" {
		from = dir + "/build"
		make("lib", "tnc", "BUILD="+from)
	}
	make(append(where, "install", "BUILD="+from)...)
	built = p
	return p
}

// enter begins a page of root: /etc and /usr/local of its own, which are thrown away,
// an empty /run, and a network of its own. Nothing of it reaches the machine.
const enter = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/tutorial/{etc,etcwork,local,localwork} /run/netns
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/tutorial/etc,workdir=/run/tutorial/etcwork /etc
mount -t overlay overlay -o lowerdir=$1/usr/local:/usr/local,upperdir=/run/tutorial/local,workdir=/run/tutorial/localwork /usr/local
[ ! -d /var/cache/ldconfig ] || mount -t tmpfs tmpfs /var/cache/ldconfig
rm -f /etc/tnc_config
ip link set lo up
cd "$HOME"
exec bash --noprofile --norc`

// sudo is for pages run by root, where sudo may not be installed.
const sudo = "#!/bin/sh\n[ \"$1\" != -E ] || shift\nexec env \"$@\"\n"

// outside are programs that would change the machine, which a page's own /etc does not
// keep from it.
var outside = []string{"apt", "apt-get", "dpkg", "rpm", "dnf", "reboot", "shutdown", "poweroff", "halt", "systemctl", "service", "modprobe",
	"aa-complain", "aa-enforce", "update-grub", "sysctl", "pkill", "killall"}

const refusal = "#!/bin/sh\necho \"$(basename $0): a test does not change the machine that it runs on\" >&2\nexit 1\n"

// enterPage starts the shell of a page; the folder home is the reader's, in it gotnc,
// which leads to the sources.
func enterPage(t testing.TB, p page) *shell {
	t.Helper()
	made := build(t)
	home := t.TempDir()
	require.NoError(t, os.Symlink(checkout(t), filepath.Join(home, "gotnc")))
	tools := t.TempDir()
	for _, program := range outside {
		require.NoError(t, os.WriteFile(filepath.Join(tools, program), []byte(refusal), 0o755))
	}
	goEnv, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE", "GOROOT").Output()
	require.NoError(t, err)
	f := strings.Fields(string(goEnv))
	require.Len(t, f, 3)
	env := append(os.Environ(), "HOME="+home, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TERM=dumb",
		// What Go needs is there already: the page's network leads nowhere.
		"GOMODCACHE="+f[0], "GOCACHE="+f[1], "GOPROXY=file://"+f[0]+"/cache/download", "GOSUMDB=off", "GOFLAGS=", "GOWORK=off",
		"SWANCTL_DIR=", "STRONGSWAN_CONF=", "TNC_RUN_DIR=", "CDPATH=")
	path := tools + ":" + f[2] + "/bin:" + os.Getenv("PATH") + ":/usr/sbin:/sbin"
	argv := []string{"bash", "--noprofile", "--norc"}
	if os.Geteuid() == 0 {
		require.NoError(t, os.WriteFile(filepath.Join(tools, "sudo"), []byte(sudo), 0o755))
		if p.wants("strongswan") {
			env = append(env, strongSwan(t, tools, home)...)
		}
		argv = []string{"unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private",
			"bash", "-c", enter, "bash", made.root}
		env = append(env, "PATH="+tools+":/usr/local/bin:"+path)
	} else {
		env = append(env, "PATH="+made.prefix+"/bin:"+path, "PKG_CONFIG_PATH="+made.prefix+"/lib/pkgconfig", "LD_LIBRARY_PATH="+made.prefix+"/lib")
	}
	s, err := newShell(home, env, argv)
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

// meet skips the test where the page needs what is not here.
func meet(t testing.TB, p page) {
	t.Helper()
	for _, n := range p.needs {
		f := strings.Fields(n)
		switch {
		case f[0] == "root" && len(f) == 1:
			need.Root(t)
			need.Program(t, "ip", "iproute2")
		case (f[0] == "program" || f[0] == "file") && len(f) == 3:
			need.Program(t, f[1], f[2])
		case f[0] == "perhaps" && len(f) == 3:
			if _, err := exec.LookPath(f[1]); err != nil {
				t.Skipf("SKIP needs %s: `apt-get install %s`", f[1], f[2])
			}
		case f[0] == "strongswan" && len(f) == 1:
			need.StrongSwan(t)
		default:
			t.Fatalf("%s: what is %q that it needs?", p.name, n)
		}
	}
}
