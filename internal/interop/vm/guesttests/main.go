// Command guesttests is the first process of a virtual machine that runs tests of
// another folder of internal/interop: it loads the kernel's modules, runs what
// /command says, and switches the machine off.
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

// run runs /command: environment, test program and its arguments, one a line.
func run() error {
	if err := modules("/modules.order"); err != nil {
		return err
	}
	b, err := os.ReadFile("/command")
	if err != nil {
		return err
	}
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "TMPDIR=/tmp"}
	args := strings.Split(strings.TrimSpace(string(b)), "\n")
	for len(args) > 0 && strings.Contains(args[0], "=") && !strings.HasPrefix(args[0], "/") {
		env, args = append(env, args[0]), args[1:]
	}
	if len(args) == 0 {
		return fmt.Errorf("/command names no program")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
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
