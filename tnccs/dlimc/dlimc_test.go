//go:build cgo && unix

package dlimc

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestMain(m *testing.M) {
	ChildMain()
	os.Exit(m.Run())
}

// buildIMC compiles testdata/imc.c with the given macros.
func buildIMC(t *testing.T, macros ...string) Entry {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	out := filepath.Join(t.TempDir(), "imc.so")
	args := []string{"-shared", "-fPIC", "-O0", "-pthread", "-o", out, filepath.Join("testdata", "imc.c")}
	for _, m := range macros {
		args = append(args, "-D"+m)
	}
	b, err := exec.Command(cc, args...).CombinedOutput()
	require.NoError(t, err, "%s", b)
	return Entry{Name: "Tiny", Path: out, File: "tnc_config", Line: 3}
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func logger() (*slog.Logger, *syncBuffer) {
	b := &syncBuffer{}
	return log.NewWriter(b, slog.LevelDebug), b
}

// children counts the processes whose parent this one is.
func children(t *testing.T) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	n := 0
	for _, p := range all {
		b, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		_, after, ok := strings.Cut(string(b), ") ")
		var state string
		var ppid int
		if ok {
			fmt.Sscan(after, &state, &ppid)
		}
		if ppid == os.Getpid() {
			n++
		}
	}
	return n
}

// noLeak checks that a test leaves no goroutine, child or descriptor.
func noLeak(t *testing.T) {
	t.Helper()
	fds := func() int {
		es, _ := os.ReadDir("/proc/self/fd")
		return len(es)
	}
	if r, w, err := os.Pipe(); err == nil { // the runtime's poller has descriptors of its own
		r.Close()
		w.Close()
	}
	before := fds()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, ignore)
		require.Zero(t, children(t), "child processes are left")
		require.LessOrEqual(t, fds(), before, "descriptors are left")
	})
}

// run runs a whole session with the IMC of e, and returns the batches and log.
func run(t *testing.T, e Entry, o Config) (c *tnccs.Client, s *tnccs.Session, first []byte, l *syncBuffer) {
	t.Helper()
	lg, l := logger()
	o.Logger = lg
	c, err := tnccs.NewClient(tnccs.Config{Logger: lg})
	require.NoError(t, err)
	imc, err := Load(e, o)
	require.NoError(t, err)
	require.NoError(t, c.Add(e.Name, imc))
	s = c.NewSession()
	first, err = s.Begin(0, tnccs.TransportEAP, "1.1")
	require.NoError(t, err)
	return c, s, first, l
}

func batch(t *testing.T, typ pb.BatchType, ms ...pb.Message) []byte {
	t.Helper()
	b, err := pb.Batch{FromServer: true, Type: typ, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func parse(t *testing.T, b []byte) pb.Batch {
	t.Helper()
	x, err := pb.Parse(b, pb.Server)
	require.NoError(t, err)
	return x
}

func testNormal(t *testing.T, o Config) {
	c, s, first, l := run(t, buildIMC(t), o)
	x := parse(t, first)
	require.Equal(t, []pb.Message{
		pb.LanguagePreference{Languages: "en"},
		pb.PA{Vendor: 0x00902a, Subtype: 1, Collector: 1, Validator: 0xffff, Body: []byte("short")},
		pb.PA{Vendor: 0x00902a, Subtype: 1, Collector: 2, Validator: 0xffff, Body: []byte("extra")},
	}, x.Messages)

	reply, err := s.Receive(batch(t, pb.SDATA, pb.PA{Exclusive: true, Vendor: 0x005597, Subtype: 1, Collector: 2, Validator: 7, Body: []byte("ask")}))
	require.NoError(t, err)
	require.Equal(t, []pb.Message{
		pb.PA{Exclusive: true, Vendor: 0x005597, Subtype: 1, Collector: 1, Validator: 7, Body: []byte("ask")},
	}, parse(t, reply).Messages)

	// Isolated: the IMC asks for a retry.
	reply, err = s.Receive(batch(t, pb.RESULT, pb.AssessmentResult{Result: pb.MinorFailure}, pb.AccessRecommendation{Code: pb.Quarantined}))
	require.NoError(t, err)
	require.Equal(t, pb.CRETRY, parse(t, reply).Type)
	require.Len(t, parse(t, reply).Messages, 2)
	reply, err = s.Receive(batch(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}))
	require.NoError(t, err)
	require.Equal(t, pb.CLOSE, parse(t, reply).Type)
	require.True(t, s.Outcome().Allowed())
	require.Equal(t, tnccs.Interface{Version: 1, Long: true}, c.Collectors()[0].Interface)
	require.NoError(t, s.Close())
	require.NoError(t, c.Close())
	if !o.InProcess {
		text := l.String()
		require.Contains(t, text, "[PTS] bound under 1\n")
		require.Contains(t, text, "[IMC] plain passed\n")
		require.Contains(t, text, "[IMC] max 65490\n")
		require.Contains(t, text, "[IMC] long 1 1 80000000 ask 5597/1 7 2\n")
		require.Contains(t, text, "[IMC] terminated 1\n")
		require.Less(t, strings.Index(text, "max 65490"), strings.Index(text, "creating PB-PA"), "lines come in the order of what happened")
	}
}

func TestNormalIMC(t *testing.T) {
	noLeak(t)
	t.Setenv("GOTNC_TEST_VALUE", "passed")
	t.Run("child", func(t *testing.T) { testNormal(t, Config{}) })
	t.Run("in process", func(t *testing.T) { testNormal(t, Config{InProcess: true}) })
}

func TestShortReceive(t *testing.T) {
	noLeak(t)
	c, s, _, l := run(t, buildIMC(t, "SHORT"), Config{})
	reply, err := s.Receive(batch(t, pb.SDATA, pb.PA{Vendor: 0x00902a, Subtype: 1, Collector: 0xffff, Validator: 7, Body: []byte("ask")}))
	require.NoError(t, err)
	require.Equal(t, []pb.Message{pb.PA{Vendor: 0x00902a, Subtype: 1, Collector: 1, Validator: 0xffff, Body: []byte("ask")}}, parse(t, reply).Messages)
	require.Equal(t, tnccs.Interface{Version: 1}, c.Collectors()[0].Interface)
	require.NoError(t, c.Close(), "closes the session too")
	require.Contains(t, l.String(), "[IMC] short 1 1 ask 902a01\n")
}

func TestLargeMessages(t *testing.T) {
	noLeak(t)
	c, _, first, _ := run(t, buildIMC(t, "BIG"), Config{})
	require.Len(t, parse(t, first).Messages, 2)
	require.NoError(t, c.Close())
}

func TestLostIMCs(t *testing.T) {
	for _, tt := range []struct {
		macro string
		cause error
		text  string
	}{
		{"CRASH", ErrCrashed, "SIGSEGV"},
		{"EXIT", ErrCrashed, "exit status 7"},
		{"HANG", ErrHung, "no return from TNC_IMC_BeginHandshake within 300ms"},
	} {
		t.Run(tt.macro, func(t *testing.T) {
			noLeak(t)
			start := time.Now()
			c, s, first, l := run(t, buildIMC(t, tt.macro), Config{CallTimeout: 300 * time.Millisecond})
			require.Len(t, parse(t, first).Messages, 1, "the session goes on without it")
			errs := s.Outcome().IMCErrors
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], tt.cause)
			require.ErrorContains(t, errs[0], `IMC 1 "Tiny" is lost`)
			require.ErrorContains(t, errs[0], tt.text)
			require.Contains(t, l.String(), tt.text)
			require.Zero(t, children(t))
			reply, err := s.Receive(batch(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessDenied}))
			require.NoError(t, err)
			require.Equal(t, pb.CLOSE, parse(t, reply).Type)
			require.Empty(t, c.IMCs())
			require.NoError(t, c.Close())
			require.Less(t, time.Since(start), 20*time.Second)
		})
	}
}

func TestHangingTerminateIsEnded(t *testing.T) {
	noLeak(t)
	c, s, _, _ := run(t, buildIMC(t, "HANG_END"), Config{TerminateTimeout: 300 * time.Millisecond})
	require.NoError(t, s.Close())
	err := c.Close()
	require.ErrorIs(t, err, ErrHung)
	require.ErrorContains(t, err, "TNC_IMC_Terminate")
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	require.NoError(t, os.WriteFile(text, []byte("not a library"), 0o600))
	elf := filepath.Join(dir, "elf.so")
	require.NoError(t, os.WriteFile(elf, []byte("\x7fELFnot a library at all, but it says so"), 0o600))
	for _, tt := range []struct {
		name  string
		e     Entry
		cause error
		say   string
	}{
		{"missing", Entry{Name: "Tiny", Path: filepath.Join(dir, "none.so"), File: "tnc_config", Line: 3}, ErrNotFound, "(configured at tnc_config:3)"},
		{"relative", Entry{Name: "Tiny", Path: "libc.so.6"}, ErrNotFound, "the path must be absolute"},
		{"directory", Entry{Name: "Tiny", Path: dir}, ErrNotLibrary, "no regular file"},
		{"text", Entry{Name: "Tiny", Path: text}, ErrNotLibrary, "ELF"},
		{"bad ELF", Entry{Name: "Tiny", Path: elf}, ErrNotLoadable, elf},
		{"no symbol", buildIMC(t, "NO_INITIALIZE"), ErrNoSymbol, "TNC_IMC_Initialize"},
		{"refused", buildIMC(t, "REFUSE"), ErrRefused, "TNC_IMC_Initialize returned 3 (no common version)"},
		{"version", buildIMC(t, "BAD_VERSION"), ErrRefused, "TNC_IMC_Initialize chose version 2"},
		{"crashes", buildIMC(t, "CRASH_INIT"), ErrCrashed, "SIGABRT"},
	} {
		for _, inProcess := range []bool{false, true} {
			if inProcess && tt.cause == ErrCrashed {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v", tt.name, inProcess), func(t *testing.T) {
				noLeak(t)
				c, err := tnccs.NewClient(tnccs.Config{})
				require.NoError(t, err)
				imc, err := Load(tt.e, Config{InProcess: inProcess})
				if err == nil {
					err = c.Add(tt.e.Name, imc)
				}
				require.ErrorIs(t, err, tt.cause)
				var le *LoadError
				require.True(t, errors.As(err, &le))
				require.ErrorContains(t, err, tt.say)
				require.ErrorContains(t, err, tt.e.Path)
				require.ErrorContains(t, err, `"Tiny"`)
				require.NoError(t, c.Close())
			})
		}
	}
}

func TestIMCThatIsNotAddedIsFreed(t *testing.T) {
	noLeak(t)
	imc, err := Load(buildIMC(t), Config{})
	require.NoError(t, err)
	require.NoError(t, imc.Terminate())
	require.NoError(t, imc.Terminate())
	require.ErrorIs(t, imc.BeginHandshake(1), ErrGone)
}

func TestKilledChildIsNoticed(t *testing.T) {
	noLeak(t)
	imc, err := Load(buildIMC(t), Config{})
	require.NoError(t, err)
	require.NoError(t, imc.(*remote).cmd.Process.Kill())
	require.ErrorIs(t, imc.BeginHandshake(1), ErrCrashed)
	require.NoError(t, imc.Terminate())
}

func TestConcurrentSessions(t *testing.T) {
	noLeak(t)
	c, err := tnccs.NewClient(tnccs.Config{})
	require.NoError(t, err)
	e := buildIMC(t)
	for range 2 {
		imc, err := Load(e, Config{})
		require.NoError(t, err)
		require.NoError(t, c.Add("Tiny", imc))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := c.NewSession()
			b, err := s.Begin(0, tnccs.TransportEAP, "1.1")
			if err != nil || len(b) < 100 {
				t.Errorf("begin: %v, %d octets", err, len(b))
			}
			for range 20 {
				b, err = s.Receive(batch(t, pb.SDATA, pb.PA{Vendor: 0x005597, Subtype: 1, Collector: 0xffff, Validator: 7, Body: []byte("ask")}))
				if x := parse(t, b); err != nil || len(x.Messages) != 2 {
					t.Errorf("receive: %v, %d messages", err, len(x.Messages))
				}
			}
			s.Close()
		})
	}
	wg.Wait()
	require.NoError(t, c.Close())
}

func TestChildRefusesToBeCalledByHand(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", ChildArg)
	out, err := cmd.CombinedOutput()
	var ee *exec.ExitError
	require.ErrorAs(t, err, &ee)
	require.Equal(t, exitUsage, ee.ExitCode())
	require.Contains(t, string(out), "not meant to be called")
}

// A program that does not call ChildMain would run its whole main again.
func TestProgramWithoutChildMain(t *testing.T) {
	childMainCalled.Store(false)
	defer childMainCalled.Store(true)
	_, err := Load(buildIMC(t), Config{})
	require.ErrorIs(t, err, ErrNoChildMain)
}

// AddAll is the one line that loads a tnc_config.
func TestAddAll(t *testing.T) {
	e := buildIMC(t)
	file := filepath.Join(t.TempDir(), "tnc_config")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	c, err := tnccs.NewClient(tnccs.Config{})
	require.NoError(t, err)
	defer c.Close()
	write("IMC \"One\" " + e.Path + "\nIMC \"Two\" " + e.Path + "\n")
	require.NoError(t, AddAll(c, file, Config{}))
	require.Equal(t, []string{"One", "Two"}, c.IMCs())

	write("IMC One " + e.Path + "\n")
	var ce *ConfigError
	require.ErrorAs(t, AddAll(c, file, Config{}), &ce)
	require.Equal(t, 1, ce.Line)
	write("IMC \"Gone\" /nonexistent.so\n")
	var le *LoadError
	require.ErrorAs(t, AddAll(c, file, Config{}), &le)
	require.ErrorIs(t, le, ErrNotFound)
	require.Equal(t, "Gone", le.Entry.Name)
	require.ErrorIs(t, AddAll(c, file+"s", Config{}), os.ErrNotExist)
}
