// Command guestsystemd is the first process of the virtual machine of
// systemd_test.go: it loads the kernel's modules and becomes systemd. As a service
// of that it tries the sandbox of IMCs on this kernel, starts tnc@home against a
// gateway of its own, looks at its processes, sends a ping through the tunnel,
// stops it, and switches the machine off.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

func main() {
	if os.Getpid() == 1 {
		becomeSystemd()
	}
	if err := run(); err != nil {
		fmt.Println("VM FAIL:", err)
	} else {
		fmt.Println("VM PASS")
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// becomeSystemd copies the first file system to one that can be moved, and starts
// systemd there.
func becomeSystemd() {
	fmt.Println("VM started")
	fail := func(what string, err error) {
		if err != nil {
			fmt.Println("VM FAIL:", what, err)
			_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		}
	}
	fail("mkdir", os.MkdirAll("/dev", 0o755))
	fail("mount", unix.Mount("dev", "/dev", "devtmpfs", 0, ""))
	fail("mkdir", os.MkdirAll("/new", 0o755))
	fail("mount", unix.Mount("root", "/new", "tmpfs", 0, "size=90%,mode=755"))
	entries, err := os.ReadDir("/")
	fail("root", err)
	for _, e := range entries {
		if e.Name() != "new" && e.Name() != "dev" {
			fail("cp", exec.Command("/bin/cp", "-a", "/"+e.Name(), "/new/").Run())
		}
	}
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "var/tmp", "root", "home", "mnt"} {
		fail("mkdir", os.MkdirAll(filepath.Join("/new", dir), 0o755))
	}
	fail("chmod", os.Chmod("/new/tmp", 0o777|os.ModeSticky))
	b, err := os.ReadFile("/modules.order")
	fail("modules", err)
	for _, name := range strings.Fields(string(b)) {
		f, err := os.Open(name)
		fail("module", err)
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
			fmt.Println("VM module", filepath.Base(name), err)
		}
		f.Close()
	}
	fail("chdir", os.Chdir("/new"))
	fail("umount", unix.Unmount("/dev", unix.MNT_DETACH))
	fail("move", unix.Mount("/new", "/", "", unix.MS_MOVE, ""))
	fail("chroot", unix.Chroot("."))
	fail("exec", unix.Exec("/lib/systemd/systemd", []string{"/lib/systemd/systemd", "--unit=drive.service", "--log-target=console", "--show-status=no"}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}))
}

// command runs a program and prints what it says.
func command(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER=", "TMPDIR=/tmp", "GOTNC_ESCAPE=/usr/lib/escape.so")
	out, err := cmd.CombinedOutput()
	fmt.Printf("VM $ %s %s\n%s", name, strings.Join(args, " "), out)
	return string(out), err
}

func run() error {
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		fmt.Printf("VM kernel %s", b)
	}
	if err := sandbox(); err != nil {
		return err
	}
	gw, err := configure()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- gw.Serve(context.Background()) }()
	defer func() { _ = gw.Close(); <-served }()
	err = service()
	b, _ := os.ReadFile("/run/log.tnc")
	fmt.Printf("VM log of tnc@home:\n%s", b)
	return err
}

// sandbox runs the tests of the sandbox on this kernel.
func sandbox() error {
	if err := os.Chdir("/usr/lib/dlimc"); err != nil {
		return err
	}
	_, err := command("/usr/bin/dlimc.test", "-test.v", "-test.run", "^(TestWhatAnIMC.*|TestForkBomb|TestMemoryEater)$")
	return err
}

// configure writes what tnc reads, and makes the gateway.
func configure() (*gateway.Gateway, error) {
	ca, err := testpki.NewCA("VM CA", testpki.ECDSA)
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue("moon.example.org", testpki.ECDSA, nil)
	if err != nil {
		return nil, err
	}
	measured, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, err
	}
	gw, err := gateway.Listen(gateway.Config{
		Identity: "moon.example.org", Certificate: cert, Users: map[string]string{"carol@example.org": "secret"},
		Policy: imv.Policy{Files: map[string]string{"/etc/os-release": fmt.Sprintf("%x", sha256.Sum256(measured))}},
	})
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"/etc/swanctl/x509ca/ca.pem": string(ca.PEM()),
		"/etc/tnc_config":            "IMC \"Attestation\" /usr/lib/gotnc/imc-attestation.so\n",
		"/etc/strongswan.conf":       "charon {\n port = 0\n port_nat_t = 0\n}\nlibimcv {\n plugins {\n imc-attestation {\n hash_algorithm = sha256\n }\n }\n}\n",
		"/etc/swanctl/swanctl.conf": fmt.Sprintf(`connections {
  home {
    version = 2
    local_addrs = 127.0.0.1
    remote_addrs = 127.0.0.1
    remote_port = %d
    vips = 0.0.0.0
    local {
      auth = eap-ttls
      id = carol@example.org
    }
    remote {
      auth = eap-ttls
      id = moon.example.org
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
      }
    }
  }
}
secrets {
  eap {
    id = carol@example.org
    secret = secret
  }
}
`, gw.Addr().Port()),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return gw, os.Chmod("/etc/tnc_config", 0o644)
}

// service starts tnc@home, looks at it, and stops it.
func service() error {
	if _, err := command("systemd-analyze", "security", "--no-pager", "tnc@home.service"); err != nil {
		fmt.Println("VM systemd-analyze:", err)
	}
	if _, err := command("systemctl", "start", "tnc@home.service"); err != nil {
		return err
	}
	if !eventually(2*time.Minute, func() bool {
		b, _ := os.ReadFile("/run/log.tnc")
		return strings.Contains(string(b), "connected; Ctrl-C disconnects")
	}) {
		_, _ = command("systemctl", "status", "--no-pager", "tnc@home.service")
		return errors.New("the service does not connect")
	}
	fmt.Println("VM connected")
	out, err := command("systemctl", "show", "-P", "MainPID", "tnc@home.service")
	if err != nil {
		return err
	}
	pid := strings.TrimSpace(out)
	show("tnc", pid)
	for _, child := range children(pid) {
		show("imc", child)
	}
	if _, err := command("ping", "-c", "1", "-W", "10", netip.MustParseAddr("10.1.0.1").String()); err != nil {
		return fmt.Errorf("ping through the tunnel: %w", err)
	}
	if _, err := command("tnc", "status"); err != nil {
		return err
	}
	if _, err := command("systemctl", "stop", "tnc@home.service"); err != nil {
		return err
	}
	out, _ = command("systemctl", "show", "-P", "Result", "tnc@home.service")
	if strings.TrimSpace(out) != "success" {
		return fmt.Errorf("the service ended: %s", out)
	}
	devices, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.Flags&net.FlagPointToPoint != 0 {
			return fmt.Errorf("the device %s is left", d.Name)
		}
	}
	return nil
}

func eventually(limit time.Duration, is func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// show prints what is in force in a process.
func show(what, pid string) {
	b, _ := os.ReadFile(filepath.Join("/proc", pid, "status"))
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"Uid:", "CapPrm:", "CapBnd:", "NoNewPrivs:", "Seccomp:", "VmLck:"} {
			if strings.HasPrefix(line, name) {
				fmt.Printf("VM %s %s\n", what, strings.Join(strings.Fields(line), " "))
			}
		}
	}
}

// children returns the processes that one has started.
func children(pid string) (out []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range all {
		b, _ := os.ReadFile(p)
		if _, after, ok := strings.Cut(string(b), ") "); ok {
			if f := strings.Fields(after); len(f) > 1 && f[1] == pid {
				out = append(out, filepath.Base(filepath.Dir(p)))
			}
		}
	}
	return out
}
