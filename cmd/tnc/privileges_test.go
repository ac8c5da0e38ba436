package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// protectEnv is set for a process that calls protect, as main does, says what is
// in force in it and in what it runs, and waits for the end of its input.
const protectEnv = "GOTNC_TEST_PROTECT"

func reportProtected() {
	protect()
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var l unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &l)
	os.Stdout.WriteString("dumpable " + strconv.Itoa(dumpable) + " core " + strconv.FormatUint(l.Max, 10) + "\n")
	out, _ := exec.Command("cat", "/proc/self/status").Output()
	os.Stdout.Write(out)
	comm, _ := os.ReadFile("/proc/self/comm")
	os.Stdout.WriteString("comm " + string(comm) + "ready\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// protected starts such a process as tnc with a command, and returns what it
// printed; end lets it end.
func protected(t *testing.T, command string, as *syscall.Credential) (cmd *exec.Cmd, said string, end func()) {
	t.Helper()
	cmd = exec.Command("/proc/self/exe", command)
	cmd.Env = append(os.Environ(), protectEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	sc := bufio.NewScanner(out)
	for sc.Scan() && sc.Text() != "ready" {
		said += sc.Text() + "\n"
	}
	return cmd, said, func() {
		in.Close()
		require.NoError(t, cmd.Wait())
	}
}

// No core; for tnc up no capability that it does not need, in it and in what it runs.
func TestProtect(t *testing.T) {
	for _, command := range []string{"up", "attest"} {
		_, said, end := protected(t, command, nil)
		end()
		require.Contains(t, said, "dumpable 0 core 0\n")
		if command == "up" && os.Getuid() == 0 {
			require.Contains(t, said, "CapPrm:\t00000000000035e6\n")
			require.Contains(t, said, "CapBnd:\t00000000000035e6\n")
			require.Contains(t, said, "NoNewPrivs:\t1\n")
			require.Contains(t, said, "comm tnc\n")
		} else {
			require.Contains(t, said, "NoNewPrivs:\t0\n")
		}
	}
}

// Another process of the same user sees nothing of the memory of tnc.
func TestMemoryIsPrivate(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP runs as another user: run as root")
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	cmd, _, end := protected(t, "attest", nobody)
	defer end()
	read := func(pid int) error {
		c := exec.Command("cat", "/proc/"+strconv.Itoa(pid)+"/environ")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
		return c.Run()
	}
	require.Error(t, read(cmd.Process.Pid))
	sleep := exec.Command("sleep", "60")
	sleep.SysProcAttr = cmd.SysProcAttr
	require.NoError(t, sleep.Start())
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	require.NoError(t, read(sleep.Process.Pid), "of others it does")
}
