// Package tpmtest has TPMs for tests: Debian's emulator swtpm in both
// generations, a fake in software, transports that record what passes and
// replay it where swtpm is missing, and transports that fail.
package tpmtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
)

// Emulator is a running swtpm.
type Emulator struct {
	Generation tpm.Generation
	// Config reaches it through a Unix socket.
	Config device.Config
	dir    string
	args   []string
	cmd    *exec.Cmd
}

// Swtpm starts Debian's swtpm with a new state and stops it when the test ends;
// without swtpm the test is skipped. The TPM is powered on but not started:
// tpm.Open starts it.
func Swtpm(t testing.TB, gen tpm.Generation, args ...string) *Emulator {
	t.Helper()
	e := newEmulator(t, gen)
	e.args = args
	e.Start(t)
	return e
}

// newEmulator returns an emulator without state that does not run yet.
func newEmulator(t testing.TB, gen tpm.Generation) *Emulator {
	t.Helper()
	need.Program(t, "swtpm", "swtpm")
	// not t.TempDir: the path of a Unix socket fits 107 octets
	dir, err := os.MkdirTemp("", "swtpm")
	if err != nil {
		t.Fatal(err)
	}
	e := &Emulator{Generation: gen, dir: dir}
	t.Cleanup(func() {
		e.Stop()
		os.RemoveAll(dir)
	})
	return e
}

// Start starts the emulator, after Stop with the state that it had.
func (e *Emulator) Start(t testing.TB) {
	t.Helper()
	sock := filepath.Join(e.dir, "tpm")
	os.Remove(sock)
	os.Remove(sock + ".ctrl")
	args := []string{"socket", "--tpmstate", "dir=" + e.dir, "--flags", "not-need-init"}
	if len(e.args) > 0 {
		args = append(args, e.args...)
	} else {
		// the control channel is where tpm2-tools look for it
		args = append(args, "--server", "type=unixio,path="+sock, "--ctrl", "type=unixio,path="+sock+".ctrl")
	}
	if e.Generation == tpm.TPM20 {
		args = append(args, "--tpm2")
	}
	e.Config = device.Config{Name: "swtpm", Opts: "path=" + sock}
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command("swtpm", args...)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := e.cmd.Start(); err != nil {
		t.Fatalf("start swtpm: %v", err)
	}
	if len(e.args) > 0 {
		return
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", sock); err == nil { // it is there before it listens
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			out, _ := os.ReadFile(log.Name())
			t.Fatalf("swtpm does not listen: %s", out)
		}
	}
}

// Stop ends the emulator, as a power cut does.
func (e *Emulator) Stop() {
	if e.cmd != nil {
		e.cmd.Process.Kill()
		e.cmd.Wait()
		e.cmd = nil
	}
}

// Process returns the emulator's process, to stop and continue it.
func (e *Emulator) Process() *os.Process { return e.cmd.Process }

// Open opens the TPM and closes it when the test ends.
func (e *Emulator) Open(t testing.TB) tpm.TPM {
	t.Helper()
	p, err := device.Open(t.Context(), e.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// SwtpmTCP starts swtpm on a free TCP port of the loopback interface.
func SwtpmTCP(t testing.TB, gen tpm.Generation) *Emulator {
	t.Helper()
	for try := 0; ; try++ {
		port := freePort(t)
		e := Swtpm(t, gen, "--server", fmt.Sprintf("type=tcp,port=%d,bindaddr=127.0.0.1", port))
		e.Config = device.Config{Name: "swtpm", Opts: fmt.Sprintf("host=127.0.0.1,port=%d", port)}
		// swtpm serves one client at a time, and its port may have been taken meanwhile
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				c.Close()
				return e
			}
		}
		if try == 3 {
			t.Fatal("swtpm does not listen on TCP")
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
