//go:build cgo && linux

package dlimc

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gotnc/gotnc/internal/base/imclink"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A program of libtnccs has connections that exec does not close: an IMC's
// process would keep them open, and the other end would never see their end.
func TestChildHoldsNoDescriptorOfTheProgram(t *testing.T) {
	noLeak(t)
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], 0))
	r := os.NewFile(uintptr(p[0]), "read")
	defer r.Close()
	imc, err := Load(buildIMC(t), Config{})
	require.NoError(t, err)
	require.NoError(t, unix.Close(p[1]))
	ended := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, io.EOF)
	case <-time.After(20 * time.Second):
		t.Error("the child holds the pipe open")
	}
	require.NoError(t, imc.Terminate())
}

// A strongswan.conf that the user gives as a descriptor is kept, or read by way of
// the program that has it.
func TestConfFromADescriptor(t *testing.T) {
	for v, want := range map[string]int{
		"": -1, "/etc/strongswan.conf": -1, "/proc/self/fd/4": 4, "/dev/fd/63": 63, "/dev/fd/": -1, "/dev/fd/x": -1, "/proc/1/fd/4": -1,
	} {
		require.Equal(t, want, imclink.Descriptor(v), v)
	}
	require.Equal(t, "/dev/fd/63", userConf("/x.so", []string{"STRONGSWAN_CONF=/dev/fd/63"}), "in process it is this")
}

const killedEnv = "GOTNC_TEST_KILLED"

// What an IMC has started ends with its process, also where the program was
// killed and cannot see to it.
func TestKilledProgramLeavesNothing(t *testing.T) {
	if so := os.Getenv(killedEnv); so != "" { // the program
		// Not confined, it can write the number of the process that it starts.
		_, err := Load(Entry{Name: "Bad", Path: so}, Config{Sandbox: Sandbox{Level: SandboxOff}})
		require.NoError(t, err)
		fmt.Println("started")
		select {}
	}
	so, pidFile := buildBad(t), filepath.Join(t.TempDir(), "pid")
	defer killNamed(t, pidFile)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProgramLeavesNothing$")
	cmd.Env = append(os.Environ(), killedEnv+"="+so, "GOTNC_TEST_AT=dlopen", "GOTNC_TEST_DO=helper", "GOTNC_TEST_PID="+pidFile)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	b, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	require.True(t, running(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return !running(pid) }, 20*time.Second, 5*time.Millisecond, "what the IMC started is left")
}

// running reports whether a process is there and no zombie.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, ok := strings.Cut(string(b), ") ")
	return err == nil && ok && after[0] != 'Z' && after[0] != 'X'
}
