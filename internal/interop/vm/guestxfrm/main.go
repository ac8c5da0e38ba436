// Command guestxfrm is the first process of the virtual machine of xfrm_test.go:
// it loads the kernel's modules, runs the tests of internal/interop/charon in it
// with ESP in the kernel on both ends, and switches the machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	fmt.Println("VM started")
	for _, m := range [][3]string{{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}, {"run", "/run", "tmpfs"}, {"tmp", "/tmp", "tmpfs"}} {
		_ = os.MkdirAll(m[1], 0o755)
		if err := unix.Mount(m[0], m[1], m[2], 0, ""); err != nil {
			fmt.Println("VM mount", m[1], err)
		}
	}
	_ = os.MkdirAll("/var", 0o755)
	_ = os.Symlink("/run", "/var/run")
	if err := run(); err != nil {
		fmt.Println("VM FAIL:", err)
	} else {
		fmt.Println("VM PASS")
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func run() error {
	if err := modules("/modules.order"); err != nil {
		return err
	}
	tests, err := os.ReadFile("/tests")
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/charon.test", "-test.v", "-test.run", strings.TrimSpace(string(tests)))
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "TMPDIR=/tmp", "GOTNC_TNC=/bin/tnc", "GOTNC_DATAPLANE=xfrm"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	return cmd.Run()
}

// modules loads the files that are listed, in order: each after those that it
// needs. One that is there already, or not for this machine, is no failure.
func modules(list string) error {
	b, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(b)) {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && err != unix.EEXIST {
			fmt.Println("VM module", filepath.Base(name), err)
		}
	}
	return nil
}
