package vm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// isUML reports whether a kernel is User-mode Linux: a program, which needs no
// virtual machine (uml.sh builds one).
func isUML(kernel string) bool { return strings.HasSuffix(kernel, ".uml") }

// netKernel is a kernel for tests that need a network and no TPM: Debian's where
// KVM runs it, else User-mode Linux, which is faster than an emulated machine: that
// of uml.sh, or Debian's package as peers.sh vm unpacks it.
func netKernel(t *testing.T) string {
	t.Helper()
	if os.Getenv("GOTNC_VM_KERNEL") != "" || kvmOpens() {
		return kernel(t)
	}
	for _, path := range []string{"../../../build/kernel/linux.uml", "../../../build/peers/uml/usr/bin/linux.uml"} {
		if path, err := filepath.Abs(path); err == nil && isFile(path) {
			return path
		}
	}
	return kernel(t)
}

func isFile(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.Mode().IsRegular()
}

func kvmOpens() bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// uml runs a kernel that is a program, to its end.
func uml(t *testing.T, kernel, root string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, kernel, "mem=1024M", "initrd="+root, "con=null", "con0=null,fd:1", "quiet", "panic=-1")
	// Its processes are several, in a group of their own: all of them end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	c := &console{first: func() {}}
	cmd.Stdout, cmd.Stderr = c, c
	err := cmd.Run()
	require.NoError(t, err, "%s", c)
	return c.String()
}
