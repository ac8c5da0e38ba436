//go:build cgo && linux

package dlimc

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// What an IMC may do in each of its calls, and what its loss is called; nil where
// it goes on. Those that cost time, until a limit is over, are tried in few calls.
var misbehaviours = []struct {
	do    string
	cause error
	text  string
	slow  bool
}{
	{"crash", ErrCrashed, "SIGSEGV", false},
	{"exit", ErrCrashed, "exit status 0", false},
	{"hang", ErrHung, "no return from", true},
	{"stop", ErrHung, "no return from", true},
	{"thread crash", ErrCrashed, "SIGABRT", false},
	{"close socket", ErrCrashed, "its process ended", true},
	{"close all", ErrCrashed, "its process ended", true},
	{"junk", ErrCrashed, "spoke out of turn", false},
	{"wrong kind", ErrCrashed, "spoke out of turn", false},
	{"short answer", ErrCrashed, "spoke out of turn", false},
	{"half frame", ErrHung, "no return from", true},
	{"stray answer", nil, "", false},
	{"bad question", nil, "", false},
	{"flood", nil, "", false},
	{"marks", nil, "", false},
	{"mute", nil, "", false},
	{"daemon", nil, "", true},
	{"daemon and crash", ErrCrashed, "SIGABRT", true},
	{"senders", nil, "", false},
	{"signals", nil, "", false},
}

// buildBad compiles testdata/bad.c.
func buildBad(t *testing.T) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	so := filepath.Join(t.TempDir(), "bad.so")
	out, err := exec.Command(cc, "-shared", "-fPIC", "-O0", "-pthread", "-o", so, filepath.Join("testdata", "bad.c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return so
}

// Everything that an IMC can do to its own process, in every call: the session
// goes on without it, the next connection has it again, nothing is left behind.
func TestMisbehaviours(t *testing.T) {
	so := buildBad(t)
	t.Run("all", func(t *testing.T) {
		for _, m := range misbehaviours {
			calls := []string{"dlopen", "Initialize", "ProvideBindFunction", "CREATE", "BeginHandshake", "ReceiveMessage", "BatchEnding", "DELETE", "Terminate"}
			if m.slow {
				calls = []string{"dlopen", "BeginHandshake", "Terminate"}
			}
			if testing.Short() {
				calls = []string{"BeginHandshake"}
			}
			for _, at := range calls {
				levels := []SandboxLevel{SandboxDefault}
				if strings.HasPrefix(m.do, "daemon") { // confined, it cannot leave the group
					levels = append(levels, SandboxOff)
				}
				for _, level := range levels {
					t.Run(strings.TrimSpace(m.do+" in "+at+" "+string(level)), func(t *testing.T) {
						t.Parallel()
						misbehave(t, Entry{Name: "Bad", Path: so}, level, at, m.do, m.cause, m.text)
					})
				}
			}
		}
	})
	require.Zero(t, children(t), "child processes are left")
}

func misbehave(t *testing.T, e Entry, level SandboxLevel, at, do string, cause error, text string) {
	start := time.Now()
	pidFile := filepath.Join(t.TempDir(), "pid")
	defer killNamed(t, pidFile)
	lg, l := logger()
	env := append(os.Environ(), "GOTNC_TEST_AT="+at, "GOTNC_TEST_DO="+do, "GOTNC_TEST_PID="+pidFile)
	// The IMC is slow where the machine is; one that hangs is found after the limit.
	o := Config{Logger: lg, Env: env, Sandbox: Sandbox{Level: level}, InitTimeout: 20 * time.Second, CallTimeout: 20 * time.Second, TerminateTimeout: 20 * time.Second}
	loading := at == "dlopen" || at == "Initialize" || at == "ProvideBindFunction"
	switch {
	case cause != ErrHung:
	case loading:
		o.InitTimeout = time.Second
	default:
		o.CallTimeout, o.TerminateTimeout = time.Second, time.Second
	}
	c, err := tnccs.NewClient(tnccs.Config{Logger: lg})
	require.NoError(t, err)
	loads := 0
	err = c.AddLoader(e.Name, func() (tnccs.IMC, error) {
		if loads++; loads > 1 {
			o.Env = os.Environ() // the second time it behaves
		}
		return Load(e, o)
	})
	if loading && cause != nil {
		require.ErrorIs(t, err, cause, "%s", l)
		require.ErrorContains(t, err, text)
		require.NoError(t, c.Close())
		return
	}
	require.NoError(t, err, "%s", l)
	s := c.NewSession()
	_, err = s.Begin(0, tnccs.TransportEAP, "1.1")
	require.NoError(t, err)
	reply, err := s.Receive(batch(t, pb.SDATA, pb.PA{Vendor: 0x005597, Subtype: 1, Collector: 0xffff, Validator: 7, Body: []byte("ask")}))
	require.NoError(t, err)
	require.Equal(t, pb.CDATA, parse(t, reply).Type)
	errs := s.Outcome().IMCErrors
	if cause != nil && at != "DELETE" && at != "Terminate" {
		require.Len(t, errs, 1, "%s", l)
		require.ErrorIs(t, errs[0], cause, "%s", l)
		require.ErrorContains(t, errs[0], `IMC 1 "Bad" is lost`)
		require.ErrorContains(t, errs[0], text)
	} else {
		require.Empty(t, errs, "%s", l)
	}
	for !s.Done() {
		reply, err = s.Receive(batch(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}))
		require.NoError(t, err)
		require.Equal(t, pb.CLOSE, parse(t, reply).Type)
	}
	require.True(t, s.Outcome().Allowed())
	require.NoError(t, s.Close())
	if at != "Terminate" {
		s = c.NewSession()
		_, err = s.Begin(0, tnccs.TransportEAP, "1.1")
		require.NoError(t, err)
		require.Empty(t, s.Outcome().IMCErrors, "it is there again\n%s", l)
		require.Equal(t, cause != nil, loads == 2)
		require.NoError(t, s.Close())
	}
	err = c.Close()
	if at == "Terminate" && cause != nil {
		require.ErrorIs(t, err, cause)
	} else {
		require.NoError(t, err)
	}
	require.Less(t, time.Since(start), 60*time.Second)
}

// killNamed ends the process that an IMC left outside its process group.
func killNamed(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	if pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
