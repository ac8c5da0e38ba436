package capitest

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/xml"
)

// The folder that holds libtnccs.so, one with the hook for tests, the programs
// that use it, and IMCs.
var tnccsDir string

// buildTNCCS builds what the tests of libtnccs need, once.
var buildTNCCS = sync.OnceValue(func() error {
	var err error
	if tnccsDir, err = os.MkdirTemp("", "libtnccs"); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(tnccsDir, name) }
	script, err := filepath.Abs("../tnccs/exports.map")
	if err != nil {
		return err
	}
	for dir, tags := range map[string]string{"lib": "", "hook": "gotnc_testhook"} {
		so := in(dir + "/libtnccs.so")
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-tags", tags, "-ldflags",
			"-s -w -X main.version=v0.0-capitest -extldflags=-Wl,--version-script="+script+",-soname,libtnccs.so.1", "-o", so, "../tnccs")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build -buildmode=c-shared: %v\n%s", err, out)
		}
		if err := os.Symlink("libtnccs.so", so+".1"); err != nil {
			return err
		}
	}
	if err := cc("-o", in("client"), "testdata/client.c", "testdata/client_handles.c", "testdata/client_sessions.c",
		"testdata/client_threads.c", "testdata/host.c", "testdata/growth.c", "-L"+in("lib"), "-ltnccs", "-ldl", "-lpthread"); err != nil {
		return err
	}
	if err := cc("-std=c99", "-pedantic", "-o", in("example"), "../tnccs/example/client.c", "-L"+in("lib"), "-ltnccs"); err != nil {
		return err
	}
	for _, macro := range []string{"TINY", "REFUSE", "CRASH_INIT", "CRASH_IF", "HANG", "THREAD", "NO_INITIALIZE"} {
		if err := cc("-shared", "-fPIC", "-pthread", "-D"+macro, "-o", in(macro+".so"), "../../tnccs/dlimc/testdata/imc.c"); err != nil {
			return err
		}
	}
	lib, err := os.ReadFile(libFile)
	if err != nil {
		return err
	}
	return os.WriteFile(in("copy.so"), lib, 0o755)
})

// site is the environment of a program that uses libtnccs.
type site struct {
	dir string // of the test
	lib string // "lib", or "hook"

	helper string // holds IMCs
	env    []string
}

func newSite(t *testing.T) *site { return newSiteThatLogs(t, "0") }

// newSiteThatLogs is newSite with libimcv.debug_level.
func newSiteThatLogs(t *testing.T, debugLevel string) *site {
	t.Helper()
	built(t)
	require.NoError(t, buildTNCCS())
	helper, err := os.Executable() // TestMain holds an IMC
	require.NoError(t, err)
	s := &site{dir: t.TempDir(), lib: "lib", helper: helper}
	conf := filepath.Join(s.dir, "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, []byte("libimcv { debug_level = "+debugLevel+" }"), 0o600))
	s.env = []string{
		"STRONGSWAN_CONF=" + conf, "HELPER=" + helper, "LIBRARY=" + libFile, "LIBRARY_DIR=" + filepath.Join(tnccsDir, "lib"),
		"CONFIG=" + s.config(t, "one", "One", libFile), "CONFIG_TWO=" + s.config(t, "two", "Two", filepath.Join(tnccsDir, "copy.so")),
		"CONFIG_OWN=" + s.config(t, "own", "Own", libFile),
	}
	return s
}

// config writes a tnc_config with one IMC.
func (s *site) config(t *testing.T, file, name, library string) string {
	t.Helper()
	path := filepath.Join(s.dir, file)
	require.NoError(t, os.WriteFile(path, []byte("# one IMC\nIMC \""+name+"\" "+library+"\n"), 0o600))
	return path
}

func (s *site) set(name, value string) { s.env = append(s.env, name+"="+value) }

// tiny sets name to a tnc_config with the small IMC that was built with macro.
func (s *site) tiny(t *testing.T, name, macro string) {
	t.Helper()
	s.set(name, s.config(t, name, "Tiny", filepath.Join(tnccsDir, macro+".so")))
}

func (s *site) command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(tnccsDir, program), args...)
	cmd.Env = append(append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(tnccsDir, s.lib)), s.env...)
	return cmd
}

// run runs a scenario of testdata/client.c and returns what it printed.
func (s *site) run(t *testing.T, scenario string) string {
	t.Helper()
	out, err := s.command(t, "client", scenario).CombinedOutput()
	require.NoError(t, err, "scenario %s\n%s", scenario, out)
	require.True(t, strings.HasSuffix(string(out), "done\n"), "%s", out)
	return string(out)
}

// server sets batches of a server: a question to the Attestation IMC, and three
// ends.
func (s *site) server(t *testing.T) {
	t.Helper()
	batch := func(name string, typ pb.BatchType, ms ...pb.Message) {
		b, err := pb.Batch{FromServer: true, Type: typ, Messages: ms}.AppendBinary(nil)
		require.NoError(t, err)
		s.set(name, hex.EncodeToString(b))
	}
	question := message(pts.RequestProtocolCapabilities{Capabilities: 0x0e}, pts.MeasurementAlgorithm{Algorithms: pts.SHA256})
	batch("QUESTION", pb.SDATA, pb.PA{Vendor: patnc.VendorTCG, Subtype: 1, Collector: pb.AnyID, Validator: 2, Body: question})
	batch("ALLOW", pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	batch("DENY", pb.RESULT, pb.AssessmentResult{Result: pb.MajorFailure}, pb.AccessRecommendation{Code: pb.AccessDenied},
		pb.ReasonString{Text: "a file\x1b[2J is another", Language: "en"}, pb.ReasonString{Text: "eine Datei\x1b ist anders", Language: "de"},
		pb.RemediationParameters{Type: pb.RemediationURI, URI: "https://help.example/"},
		pb.RemediationParameters{Type: pb.RemediationString, Text: "ask", Language: "en"},
		pb.RemediationParameters{Type: pb.RemediationString, Text: "fragen", Language: "de"},
		pb.RemediationParameters{Vendor: 77, Type: 9, Data: []byte{1, 2}})
	for id, typ := range []xml.RecommendationType{xml.None, xml.Allow} {
		b, err := xml.Batch{ID: uint32(2 + id), Recipient: xml.TNCC, Messages: []xml.Message{xml.Recommendation{Type: typ}}}.AppendBinary(nil)
		require.NoError(t, err)
		s.set(strings.ToUpper(string(typ))+"_XML", hex.EncodeToString(b))
	}
	batch("FATAL", pb.CLOSE, pb.Error{Fatal: true, Code: pb.CodeLocalError})
}

func TestTNCCSHandlesAndArguments(t *testing.T) {
	s := newSite(t)
	s.server(t)
	require.Contains(t, s.run(t, "handles"), "version v0.0-capitest\n")
}

func TestTNCCSWithoutMemory(t *testing.T) {
	s := newSite(t)
	s.server(t)
	require.Contains(t, s.run(t, "memory"), "no batch: there is no memory for the result\n")
}

func TestTNCCSFork(t *testing.T) {
	s := newSite(t)
	s.server(t)
	s.run(t, "fork")
}

func TestTNCCSOptions(t *testing.T) {
	s := newSite(t)
	s.server(t)
	s.set("BAD_LINE", filepath.Join(s.dir, "bad"))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "bad"), []byte("IMC \"One\" "+libFile+"\nIMC two\n"), 0o600))
	s.set("NO_LIBRARY", s.config(t, "none", "Gone", s.dir+"/gone.so"))
	s.set("NOT_A_LIBRARY", s.config(t, "text", "Text", s.dir+"/text"))
	s.tiny(t, "NO_IMC", "NO_INITIALIZE")
	s.tiny(t, "REFUSES", "REFUSE")
	s.tiny(t, "CRASHES", "CRASH_INIT")
	s.tiny(t, "TINY", "TINY")
	out := s.run(t, "options")
	for _, want := range []string{
		"size: wrong argument: opts->size is wrong: call tnccs_options_init first",
		"newer: wrong argument: opts holds a member that this release of libtnccs does not know",
		"mode: wrong argument: opts->imc_mode is 5",
		"protocol: wrong argument: configure TNC client: protocol \"tnccs-9\" is none of",
		"language: wrong argument: ",
		"level: wrong argument: opts->log_level is 9",
		"no file: configuration: read TNC configuration: open /nonexistent/tnc_config: no such file",
		"BAD_LINE: configuration: " + s.dir + "/bad:2: the name of the IMC must be set in double quotes",
		"NO_LIBRARY: IMC: load IMC \"Gone\" from " + s.dir + "/gone.so: file not found: install it or correct the path (configured at " + s.dir + "/none:2)",
		"NOT_A_LIBRARY: IMC: load IMC \"Text\" from",
		"NO_IMC: IMC: load IMC \"Tiny\" from",
		"it has no function TNC_IMC_Initialize",
		"TNC_IMC_Initialize returned 3 (no common version)",
		"signal SIGABRT",
		"no helper: IMC: load IMC \"One\" from",
		"/nonexistent/tnc",
		"not a helper: IMC: load IMC \"One\" from",
		"/bin/true",
		"helper not found: IMC: load IMC \"One\": the program tnc",
		"log: plain as it is now\n",
		"log: conf /option.conf\n",
		"\nplain as it is now\nconf /option.conf\n", // in process
	} {
		require.Contains(t, out, want)
	}
}

func TestTNCCSOutcomes(t *testing.T) {
	s := newSite(t)
	s.server(t)
	require.Equal(t, "End, deny, non-compliant major\nreason [de] eine Datei\ufffd ist anders\n"+
		"remediation https://help.example/, [] (no text)\nremediation (no URI), [de] fragen\nremediation (no URI), [] (no text)\ndone\n",
		s.run(t, "outcomes"))
}

func TestTNCCSErrors(t *testing.T) {
	s := newSite(t)
	s.server(t)
	out := s.run(t, "errors")
	require.Contains(t, out, "twice: the session has begun already\n")
	require.Regexp(t, "(?m)^error: .*version", out)
	require.Regexp(t, "(?m)^afterwards: the session is over: .*version", out)
	require.Regexp(t, "(?m)^fatal: .*local error", strings.ToLower(out))
}

func TestTNCCSGarbage(t *testing.T) {
	s := newSite(t)
	s.server(t)
	t.Log(s.run(t, "garbage"))
}

func TestTNCCSLog(t *testing.T) {
	s := newSiteThatLogs(t, "1")
	s.server(t)
	s.set("NO_LIBRARY", s.config(t, "none", "Gone", s.dir+"/gone.so"))
	out := s.run(t, "log")
	require.Contains(t, out, "2 [TNC] assigned TNCCS Connection ID 2\n")
	require.Contains(t, out, "2 [IMC] IMC 1 \"Attestation\" initialized\n")
	require.Contains(t, out, "2 [IMC] IMC 1 \"Attestation\" terminated\n", "the last line of an IMC")
}

func TestTNCCSAtOnce(t *testing.T) {
	s := newSite(t)
	s.server(t)
	t.Log(s.run(t, "at-once"))
	t.Log(s.run(t, "thousand"))
	s.run(t, "destroy")
	s.run(t, "one-session")
}

// libtnccs twice, and the IMC that the program loads by itself, in every order.
func TestTNCCSBesideTheIMC(t *testing.T) {
	for _, env := range []string{"IMC_LAST=1", "IMC_FIRST=1", "LD_PRELOAD=" + libFile} {
		s := newSite(t)
		s.server(t)
		s.env = append(s.env, env)
		out := s.run(t, "together")
		require.Regexp(t, `taken: .*"Two".*already initialized`, out)
		require.Regexp(t, `the program's: .*"Own".*already initialized`, out)
	}
}

// The runtime of libtnccs keeps SIGURG where another Go library comes, before it,
// before its first call, or between two calls.
func TestTNCCSPreemption(t *testing.T) {
	for _, env := range []string{"WHEN=first", "WHEN=later", "LD_PRELOAD=" + libFile} {
		s := newSite(t)
		s.lib = "hook"
		s.env = append(s.env, "WHEN=later", env)
		s.run(t, "preemption")
	}
}

// The program's fault reaches the program's handler.
func TestTNCCSLeavesFaultsAlone(t *testing.T) {
	s := newSite(t)
	s.env = append(s.env, "EARLY=1")
	require.Contains(t, s.run(t, "fault"), "handled\n")
}

func TestTNCCSLeaksNothing(t *testing.T) {
	s := newSite(t)
	s.server(t)
	t.Log(s.run(t, "leak"))
	t.Log(s.run(t, "leak-clients"))
}

func TestTNCCSWithBadIMCs(t *testing.T) {
	s := newSite(t)
	s.server(t)
	flag := filepath.Join(s.dir, "crash")
	s.set("GOTNC_TEST_CRASH", flag)
	s.tiny(t, "CRASHES_IF", "CRASH_IF")
	s.tiny(t, "HANGS", "HANG")
	s.tiny(t, "CALLS", "THREAD")
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	require.Contains(t, s.run(t, "lost"), "lost: IMC 1 \"Tiny\" is lost: the IMC crashed: its process ended (signal SIGABRT)\n")
	require.Contains(t, s.run(t, "hung"), "hung: IMC 1 \"Tiny\" is lost: the IMC does not answer: no return from TNC_IMC_BeginHandshake within 500ms; its process was killed\n")
	s.run(t, "callbacks")
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	require.Contains(t, s.run(t, "ignored-children"), "lost: IMC 1 \"Tiny\" is lost: the IMC crashed: its process ended (how is not known)\n")
}

func TestTNCCSPanics(t *testing.T) {
	s := newSite(t)
	s.server(t)
	s.lib = "hook"
	s.run(t, "panic")
}
