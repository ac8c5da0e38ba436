package capitest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// stubSources are what imc-attestation-stub.so is made of, as the Makefile has them.
func stubSources() []string {
	files, _ := filepath.Glob("../stub/*.c")
	return append(files, "../attestation/hostlog.c")
}

// strictC are the warnings that the stub is free of.
var strictC = []string{"-std=c11", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wformat=2"}

func buildStub(file string, args ...string) error {
	all := append([]string{"-shared", "-fPIC", "-fvisibility=hidden", "-o", file}, strictC...)
	return cc(append(append(all, args...), stubSources()...)...)
}

// stubFolder is an installation: the stub, and tnc beside it.
var stubFolder = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(libFile), "stub")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w -X main.version=v0.0-capitest", "-o", filepath.Join(dir, "tnc"), "../../cmd/tnc").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/tnc: %v\n%s", err, out)
	}
	return dir, buildStub(filepath.Join(dir, "imc-attestation-stub.so"), "-Wl,-z,defs", "-Wl,--version-script=../attestation/exports.map")
})

// stub returns the path of the stub in an installation.
func stub(t *testing.T) string {
	t.Helper()
	built(t)
	dir, err := stubFolder()
	require.NoError(t, err)
	return filepath.Join(dir, "imc-attestation-stub.so")
}

const quietly = "libimcv { debug_level = 0 }"

// The stub is the same IMC as the library: it passes the library's scenarios.
func TestStubScenarios(t *testing.T) {
	lib := stub(t)
	for _, s := range []string{"results", "reload", "threads", "reenter", "invalid", "garbage", "mute"} {
		t.Run(s, func(t *testing.T) {
			_, errs := run{library: lib, conf: quietly}.host(t, s)
			require.NotContains(t, errs, "panic")
		})
	}
}

// A measurement that would take an hour ends with its connection, and with the IMC.
func TestStubHostEndsWhatRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, 1<<43))
	conf := "libimcv { debug_level = 0\n plugins { imc-attestation { measure_max_bytes = 100000000000000\n measure_max_seconds = 3600 } } }"
	run{library: stub(t), input: fileRequest(file) + "\n", conf: conf}.host(t, "busy")
}

// What the stub promises beside the IMC: it survives a fork, and the end of its
// process; it leaves nothing behind.
func TestStub(t *testing.T) {
	lib := stub(t)
	for _, s := range []string{"stub-fork", "stub-crash", "stub-odd-host", "stub-unload"} {
		t.Run(s, func(t *testing.T) {
			out, _ := run{library: lib, conf: quietly}.host(t, s)
			t.Log(strings.TrimSuffix(out, "done\n"))
		})
	}
}

// Its lines are those of the library, and go where the library's go.
func TestStubLogs(t *testing.T) {
	conf := "libimcv { debug_level = 2 }"
	_, want := run{conf: conf}.host(t, "mute")
	_, got := run{library: stub(t), conf: conf}.host(t, "mute")
	require.Equal(t, want, got)
	_, got = run{library: stub(t), conf: "libimcv { stderr_quiet = yes }"}.host(t, "mute")
	require.Empty(t, got)
}

// The process of the IMC ends with its host, also where another process, which the
// host forked, holds the socket open.
func TestStubEndsWithItsHost(t *testing.T) {
	cmd := exec.Command(hostFile, stub(t), "stub-killed")
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+os.DevNull)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.True(t, alive(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return !alive(pid) }, 20*time.Second, 10*time.Millisecond)
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, ok := strings.Cut(string(b), ") ")
	return err == nil && ok && after[0] != 'Z' && after[0] != 'X'
}

// A host of musl opens the stub, also the one that was linked against glibc: there the
// library in Go cannot be opened.
func TestStubUnderMusl(t *testing.T) {
	compiler := need.Program(t, "musl-gcc", "musl-tools")
	lib, dir := stub(t), t.TempDir()
	host := filepath.Join(dir, "host")
	compile := func(args ...string) {
		out, err := exec.Command(compiler, append([]string{"-Wall", "-Wextra", "-Werror", "-O1", "-I../../include"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	compile(append([]string{"-o", host}, hostSources...)...)
	out, err := exec.Command(host, libFile, "mute").CombinedOutput()
	require.Error(t, err, "musl opens libraries in Go now: docs/client.md says that it does not\n%s", out)
	native := filepath.Join(dir, "imc-attestation-stub.so")
	compile(append([]string{"-shared", "-fPIC", "-o", native}, stubSources()...)...)
	require.NoError(t, os.Symlink(filepath.Join(filepath.Dir(lib), "tnc"), filepath.Join(dir, "tnc")))
	for _, library := range []string{lib, native} {
		for _, s := range []string{"results", "threads", "stub-fork", "stub-crash", "stub-unload"} {
			run{program: host, library: library, conf: quietly}.host(t, s)
		}
	}
}

// The stub and its host with AddressSanitizer and UndefinedBehaviorSanitizer: the
// scenarios, and a program in place of tnc that does what it should not.
func TestStubSanitized(t *testing.T) {
	lib, dir := stub(t), t.TempDir()
	sanitizers := []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"}
	host := filepath.Join(dir, "host")
	if err := cc(append(append([]string{"-o", host}, sanitizers...), append(hostSources, "-ldl", "-lpthread")...)...); err != nil {
		t.Skipf("SKIP needs a C compiler with sanitizers: %v", err)
	}
	sanitized, hostile := filepath.Join(dir, "imc-attestation-stub.so"), filepath.Join(dir, "hostile", "imc-attestation-stub.so")
	require.NoError(t, buildStub(sanitized, sanitizers...))
	require.NoError(t, os.Symlink(filepath.Join(filepath.Dir(lib), "tnc"), filepath.Join(dir, "tnc")))
	for _, s := range []string{"results", "threads", "reenter", "invalid", "stub-crash", "stub-fork"} {
		run{program: host, library: sanitized, conf: quietly}.host(t, s)
	}
	require.NoError(t, os.Mkdir(filepath.Dir(hostile), 0o755))
	require.NoError(t, buildStub(hostile, append(sanitizers, "-DSTUB_TIME=50")...))
	require.NoError(t, cc("-o", filepath.Join(dir, "hostile", "tnc"), "testdata/fake_tnc.c"))
	for _, fake := range []string{"exit", "silent", "deaf", "huge", "short", "kind", "half", "short answer", "stray", "nonsense", "short question", "flood", "crash"} {
		t.Run(fake, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, host, hostile, "stub-hostile")
			cmd.Env = append(os.Environ(), "FAKE="+fake, "STRONGSWAN_CONF="+os.DevNull)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			require.NoError(t, err, "%s\n%s", out, errs.String())
			require.True(t, bytes.HasSuffix(out, []byte("done\n")))
		})
	}
}
