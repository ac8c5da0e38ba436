// Package vm boots Debian's kernel in a virtual machine with an emulated TPM:
// what a real firmware and a real kernel measure, read by tnc measure and quoted.
package vm

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// kernel finds Debian's kernel: that of linux-image-cloud-amd64, or another that
// can be read.
func kernel(t *testing.T) string {
	t.Helper()
	if k := os.Getenv("GOTNC_VM_KERNEL"); k != "" {
		return k
	}
	found, _ := filepath.Glob("/boot/vmlinuz-*-amd64")
	sort.Strings(found)
	for i := len(found) - 1; i >= 0; i-- {
		if f, err := os.Open(found[i]); err == nil {
			f.Close()
			return found[i]
		}
	}
	t.Skip("SKIP needs a kernel: apt install linux-image-cloud-amd64, or set GOTNC_VM_KERNEL to its path")
	return ""
}

// archive is a cpio archive in the newc format, which the kernel unpacks as its
// root.
type archive struct {
	bytes.Buffer
	seen map[string]bool
	n    int
}

func (a *archive) add(name string, mode fs.FileMode, data []byte) {
	name = strings.TrimPrefix(name, "/")
	if dir := filepath.Dir(name); dir != "." && !a.seen[dir] {
		a.add(dir, fs.ModeDir|0o755, nil)
	}
	if a.seen[name] {
		return
	}
	a.seen[name] = true
	a.n++
	kind := uint32(0o100000)
	if mode.IsDir() {
		kind = 0o040000
	}
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.n, kind|uint32(mode.Perm()), 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}

func (a *archive) file(t *testing.T, name, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	require.NoError(t, err)
	a.add(name, 0o755, b)
}

var (
	update = flag.Bool("update", false, "record the machine's logs and PCRs as testdata of imc/evidence")
	logged = regexp.MustCompile(`(?m)^VM (?:file (\w+) (\S+)|pcr .*)\r?\n`)
	pcrs   = regexp.MustCompile(`(?m)^VM (pcr .*?)\r?$`)
)

// record writes the logs and the PCRs that the guest printed.
func record(t *testing.T, dir, out string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, m := range logged.FindAllStringSubmatch(out, -1) {
		if m[1] == "" {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(m[2])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, m[1]), b, 0o644))
	}
	var lines strings.Builder
	for _, m := range pcrs.FindAllStringSubmatch(out, -1) {
		lines.WriteString(m[1] + "\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pcrs.txt"), []byte(lines.String()), 0o644))
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// initramfs holds the guest as /init and tnc with its libraries.
func initramfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	guest, tnc := filepath.Join(dir, "guest"), filepath.Join(dir, "tnc")
	for out, pkg := range map[string]string{guest: "./internal/interop/vm/guest", tnc: "./cmd/tnc"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
		cmd.Dir = "../../.."
		if out == guest {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		b, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", b)
	}
	a := &archive{seen: map[string]bool{}}
	a.file(t, "/init", guest)
	a.file(t, "/bin/tnc", tnc)
	ldd, err := exec.Command("ldd", tnc).Output()
	require.NoError(t, err)
	for _, m := range library.FindAllSubmatch(ldd, -1) {
		a.file(t, string(m[1]), string(m[1]))
	}
	a.add("/etc/strongswan.conf", 0o644, []byte("libimcv {\n plugins {\n  imc-attestation {\n   aik_handle = 0x81010003\n  }\n }\n}\n"))
	a.add("TRAILER!!!", 0, nil)
	out := filepath.Join(dir, "initramfs")
	require.NoError(t, os.WriteFile(out, a.Bytes(), 0o600))
	return out
}

// Times that a machine gets: to its first line with KVM, which nested in another
// machine may hang, and to its end.
const (
	bootTime = 20 * time.Second
	runTime  = 15 * time.Minute
)

// kvmHangs is what the first machine found.
var kvmHangs bool

// boot runs the machine to its end and returns its console; with KVM where that
// works, else emulated.
func boot(t *testing.T, vmlinuz, root string, tpm []string) (console, accel string) {
	t.Helper()
	if isUML(vmlinuz) {
		return uml(t, vmlinuz, root), "uml"
	}
	need.Program(t, "qemu-system-x86_64", "qemu-system-x86")
	need.Program(t, "swtpm", "swtpm")
	if kvmOpens() && !kvmHangs {
		if out, ok := machine(t, []string{"-machine", "q35,accel=kvm", "-cpu", "host,-arch-capabilities"}, vmlinuz, root, tpm, bootTime); ok {
			return out, "kvm"
		}
		t.Log("KVM does not boot the kernel here: emulating")
		kvmHangs = true
	}
	out, ok := machine(t, []string{"-machine", "q35,accel=tcg", "-cpu", "max"}, vmlinuz, root, tpm, runTime)
	require.True(t, ok, "%s", out)
	return out, "tcg"
}

// console collects what the machine prints; first is called at the guest's
// first line.
type console struct {
	mu    sync.Mutex
	b     bytes.Buffer
	first func()
	once  sync.Once
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b.Write(p)
	if bytes.Contains(c.b.Bytes(), []byte("VM started")) {
		c.once.Do(c.first)
	}
	return len(p), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

func machine(t *testing.T, accel []string, vmlinuz, root string, tpm []string, started time.Duration) (out string, ok bool) {
	t.Helper()
	state, err := os.MkdirTemp("", "vmtpm") // short: a Unix socket's path fits 107 octets
	require.NoError(t, err)
	defer os.RemoveAll(state)
	sock := filepath.Join(state, "ctrl")
	swtpm := exec.Command("swtpm", append([]string{"socket", "--tpmstate", "dir=" + state, "--ctrl", "type=unixio,path=" + sock}, tpm...)...)
	require.NoError(t, swtpm.Start())
	defer func() { _ = swtpm.Process.Kill(); _ = swtpm.Wait() }()
	require.Eventually(t, func() bool { _, err := os.Stat(sock); return err == nil }, 5*time.Second, 10*time.Millisecond)

	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(accel, "-m", "1024", "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio",
		"-kernel", vmlinuz, "-initrd", root, "-append", "console=ttyS0 quiet rootfstype=ramfs ima_policy=tcb panic=-1 no_timer_check",
		"-chardev", "socket,id=tpm,path="+sock, "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0")...)
	watchdog := time.AfterFunc(started, cancel)
	c := &console{first: func() { watchdog.Stop() }}
	cmd.Stdout, cmd.Stderr = c, c
	err = cmd.Run()
	watchdog.Stop()
	return c.String(), err == nil
}

func TestRealKernel(t *testing.T) {
	if os.Getenv("GOTNC_VMTEST") == "" {
		t.Skip("SKIP needs a virtual machine: run `make vmtest`")
	}
	need.Program(t, "qemu-system-x86_64", "qemu-system-x86")
	need.Program(t, "swtpm", "swtpm")
	vmlinuz := kernel(t)
	root := initramfs(t)
	for name, args := range map[string][]string{"TPM 2.0": {"--tpm2"}, "TPM 1.2": nil} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			out, accel := boot(t, vmlinuz, root, args)
			t.Logf("%s in %v:\n%s", accel, time.Since(start).Round(time.Second), logged.ReplaceAllString(out, ""))
			if *update {
				record(t, filepath.Join("../../../imc/evidence/testdata", strings.ReplaceAll(strings.ToLower(name), " ", "")), out)
			}
			require.Contains(t, out, "VM PASS")
			require.Contains(t, out, "no difference")
			require.Contains(t, out, "1 violations")
			if name == "TPM 2.0" {
				require.Contains(t, out, "VM quote 4 verified")
			}
		})
	}
}
