package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// systemdUnits are the units of Debian that tnc@.service leads to.
var systemdUnits = []string{"basic.target", "sysinit.target", "shutdown.target", "sockets.target", "timers.target", "paths.target", "slices.target",
	"local-fs.target", "local-fs-pre.target", "swap.target", "network.target", "network-online.target", "nss-lookup.target", "umount.target", "final.target",
	"multi-user.target"}

// drive is the service that tries it.
const drive = `[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/guest drive
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=infinity
`

// systemdRoot is an initial RAM disk with Debian's systemd, tnc with its unit and
// library, and the tests of the sandbox.
func systemdRoot(t *testing.T, vmlinuz string) string {
	t.Helper()
	dir := t.TempDir()
	build := func(name string, cgo bool, args ...string) string {
		out := filepath.Join(dir, name)
		cmd := exec.Command("go", append(append([]string{args[0]}, "-trimpath", "-ldflags", "-s -w", "-o", out), args[1:]...)...)
		cmd.Dir = "../../.."
		if !cgo {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		b, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", b)
		return out
	}
	a := &archive{seen: map[string]bool{}}
	add := func(name, from string) {
		a.file(t, name, from)
		ldd, err := exec.Command("ldd", from).Output()
		if err != nil {
			return
		}
		for _, m := range library.FindAllSubmatch(ldd, -1) {
			a.file(t, string(m[1]), string(m[1]))
		}
	}
	guest := build("guest", false, "build", "./internal/interop/vm/guestsystemd")
	a.file(t, "/init", guest)
	a.file(t, "/bin/guest", guest)
	add("/usr/bin/tnc", build("tnc", true, "build", "./cmd/tnc"))
	add("/usr/bin/dlimc.test", build("dlimc.test", true, "test", "-c", "./tnccs/dlimc"))
	add("/usr/lib/gotnc/imc-attestation.so", build("imc-attestation.so", true, "build", "-buildmode=c-shared", "./capi/attestation"))
	escape := filepath.Join(dir, "escape.so")
	b, err := exec.Command("cc", "-shared", "-fPIC", "-o", escape, "../../../tnccs/dlimc/testdata/escape.c").CombinedOutput()
	require.NoError(t, err, "%s", b)
	a.file(t, "/usr/lib/escape.so", escape)
	a.add("/usr/lib/dlimc", 0o755|os.ModeDir, nil)
	for _, p := range []string{"/lib/systemd/systemd", "/lib/systemd/systemd-executor", "/bin/systemctl", "/usr/bin/systemd-analyze", "/bin/cp", "/bin/sh", "/bin/true", "/bin/cat", "/usr/bin/ping"} {
		if path, err := filepath.EvalSymlinks(p); err == nil {
			add(p, path)
		}
	}
	for _, pattern := range []string{"/lib/*/libgcc_s.so.1", "/lib/*/libnss_files.so.2", "/usr/lib/*/libseccomp.so.2", "/usr/lib/*/libapparmor.so.1", "/lib/*/libkmod.so.2", "/lib/*/libbpf.so.1"} {
		found, _ := filepath.Glob(pattern)
		for _, p := range found {
			add(p, p)
		}
	}
	for _, u := range systemdUnits {
		a.file(t, "/lib/systemd/system/"+u, "/lib/systemd/system/"+u)
	}
	a.file(t, "/lib/systemd/system/tnc@.service", "../../../dist/tnc@.service")
	a.add("/etc/systemd/system/tnc@.service.d/log.conf", 0o644, []byte("[Service]\nStandardOutput=append:/run/log.tnc\nStandardError=append:/run/log.tnc\n"))
	a.add("/etc/systemd/system/drive.service", 0o644, []byte(drive))
	a.add("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"))
	a.add("/etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	a.add("/etc/shadow", 0o640, []byte("root:*:1::::::\n"))
	a.add("/etc/nsswitch.conf", 0o644, []byte("passwd: files\ngroup: files\nhosts: files\n"))
	a.add("/etc/machine-id", 0o644, []byte("0123456789abcdef0123456789abcdef\n"))
	a.add("/etc/resolv.conf", 0o644, nil)
	a.file(t, "/etc/os-release", "/etc/os-release")
	a.modules(t, vmlinuz, "tun")
	a.add("TRAILER!!!", 0, nil)
	out := filepath.Join(dir, "initramfs")
	require.NoError(t, os.WriteFile(out, a.Bytes(), 0o600))
	return out
}

// The unit under a real systemd, and the sandbox of IMCs on Debian's kernel, whose
// Landlock is older than that of most machines.
func TestSystemdOnARealKernel(t *testing.T) {
	if os.Getenv("GOTNC_VMTEST") == "" {
		t.Skip("SKIP needs a virtual machine: run `make vmtest`")
	}
	need.Program(t, "qemu-system-x86_64", "qemu-system-x86")
	need.Program(t, "swtpm", "swtpm")
	need.Program(t, "/lib/systemd/systemd", "systemd")
	vmlinuz := kernel(t)
	root := systemdRoot(t, vmlinuz)
	start := time.Now()
	out, accel := boot(t, vmlinuz, root, []string{"--tpm2"})
	t.Logf("%s in %v:\n%s", accel, time.Since(start).Round(time.Second), out)
	require.Contains(t, out, "VM PASS")
	require.NotContains(t, out, "VM FAIL")
	require.Contains(t, out, `IMC "Attestation" is confined (strict)`)
	require.Regexp(t, `VM tnc Seccomp: 2\r?\n`, out)
	require.Regexp(t, `VM tnc CapPrm: 0000000000003406\r?\n`, out)
	require.Regexp(t, `VM imc CapPrm: 000000000000000[46]\r?\n`, out)
	require.Contains(t, out, "--- PASS: TestWhatAnIMCCannotDo")
	require.Contains(t, out, "--- PASS: TestWhatAnIMCOfAUserCannotDo")
}
