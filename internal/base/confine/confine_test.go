//go:build linux

package confine

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A process that this test starts prints what is in force in it.
const reportEnv = "GOTNC_TEST_REPORT"

func TestMain(m *testing.M) {
	if path := os.Getenv(reportEnv); path != "" {
		report(path)
		return
	}
	os.Exit(m.Run())
}

// report prints the state of every thread, and whether a file can be read.
func report(path string) {
	_, err := Was()
	os.Stdout.WriteString("was " + errorText(err) + "\n")
	_, err = os.ReadFile(path)
	os.Stdout.WriteString("read " + errorText(err) + "\n")
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":\t"); ok && slices.Contains([]string{"Uid", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"}, name) {
				os.Stdout.WriteString(name + " " + strings.Fields(value)[0] + "\n")
			}
		}
	}
	os.Stdout.WriteString("threads " + strings.Repeat("x", len(tasks)) + "\n")
}

func errorText(err error) string {
	if err == nil {
		return "fine"
	}
	return err.Error()
}

// started runs this program with a plan, and returns what it printed.
func started(t *testing.T, p *Plan, path string) string {
	t.Helper()
	f, err := p.File()
	require.NoError(t, err)
	defer f.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{reportEnv + "=" + path, Variable + "=3"}
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// Every thread of the process has all of it.
func TestEveryThread(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, nil, 0o644))
	p := NewLibrary(Library{Name: "test", Files: Files{Hidden: []string{secret}, Execute: []string{"/"}}, Calls: Calls{Code: true}, Memory: 1 << 30, Processes: 100, Keep: CapSet(unix.CAP_DAC_READ_SEARCH)})
	out := started(t, p, secret)
	require.Contains(t, out, "was fine\n", out)
	if LandlockABI() > 0 {
		require.Contains(t, out, "read open "+secret+": permission denied\n")
	}
	n := strings.Count(out, "x")
	require.Greater(t, n, 1, "a Go program has threads")
	require.Equal(t, n, strings.Count(out, "NoNewPrivs 1\n"), out)
	require.Equal(t, n, strings.Count(out, "Seccomp 2\n"), out)
	if os.Getuid() == 0 {
		require.Equal(t, n, strings.Count(out, "CapPrm 0000000000000004\n"), out)
		require.Equal(t, n, strings.Count(out, "CapBnd 0000000000000004\n"), out)
		require.Zero(t, strings.Count(out, "Uid 0\n"), out)
	}
	require.NotEmpty(t, p.Force())
	require.EqualValues(t, 1<<30, p.Memory())
}

// A service keeps its user, and loses capabilities for good.
func TestService(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root: run as root")
	}
	out := started(t, Service("test", CapSet(unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)), "/etc/hostname")
	n := strings.Count(out, "x")
	require.Equal(t, n, strings.Count(out, "CapPrm 0000000000003000\n"), out)
	require.Equal(t, n, strings.Count(out, "CapBnd 0000000000003000\n"), out)
	require.Equal(t, n, strings.Count(out, "Uid 0\n"), out)
	require.Equal(t, n, strings.Count(out, "NoNewPrivs 1\n"), out)
}

// A step that the kernel refuses is an error that names it; none is tried after it.
func TestStepThatFails(t *testing.T) {
	p := newPlan()
	p.step(stepLimit, u64s(999, 0, 0))
	p.step(stepNoNew, nil)
	out := started(t, p, "/")
	require.Contains(t, out, "was setrlimit: invalid argument\n")
	require.Contains(t, out, "NoNewPrivs 0\n")
	for name, damage := range map[string]func([]byte) []byte{
		"another layout":   func(b []byte) []byte { b[7] = 9; return b },
		"too short":        func([]byte) []byte { return []byte("GTNC\x00\x00\x00\x01") },
		"a step too long":  func(b []byte) []byte { binary.NativeEndian.PutUint32(b[12:], 1<<20); return b },
		"no step known":    func(b []byte) []byte { binary.NativeEndian.PutUint32(b[8:], 77); return b },
		"empty":            func([]byte) []byte { return nil },
		"half of a header": func(b []byte) []byte { return append(b[:8], 1, 0) },
	} {
		p := newPlan()
		p.step(stepName, []byte("x\x00"))
		p.steps = damage(p.steps)
		out := started(t, p, "/")
		if name != "too short" && name != "half of a header" { // nothing to do is no error
			require.NotContains(t, out, "was fine\n", name)
		}
	}
}

// Entries beside something hidden are granted one by one, what is hidden never.
func TestWalk(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/b", "a/c", "d", "e/f"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/key"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/cert"), nil, 0o600))
	require.NoError(t, os.Symlink("a/b/key", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "alias")))
	var got []string
	w := walk{hidden: resolve([]string{dir + "/alias/b/key", dir + "/e/later", "/proc/self/fd/1"}), grant: func(p string) { got = append(got, strings.TrimPrefix(p, dir+"/")) }}
	w.folder(dir)
	require.ElementsMatch(t, []string{"a/b/cert", "a/c", "d", "e/f"}, got)
	p := &Plan{seen: w.seen}
	if slices.ContainsFunc(volatile, func(v string) bool { return strings.HasPrefix(dir, v+"/") }) {
		defer func(old []string) { volatile = old }(volatile)
		volatile = nil
	}
	require.False(t, p.Stale())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "d/new"), nil, 0o600))
	require.False(t, p.Stale(), "it was granted with its folder")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/new"), nil, 0o600))
	require.True(t, p.Stale())
}

// Older kernels are asked for what they know.
func TestHandled(t *testing.T) {
	size := uintptr(0)
	var fs uint64
	for abi := 1; abi <= 7; abi++ {
		a, n := handled(abi)
		require.GreaterOrEqual(t, n, size)
		require.GreaterOrEqual(t, a.Handled_access_fs, fs)
		require.Equal(t, abi >= withTCP, a.Handled_access_net != 0)
		require.Equal(t, abi >= withScopes, a.Scoped != 0)
		size, fs = n, a.Handled_access_fs
	}
	require.EqualValues(t, 24, size)
	a, size := handled(2)
	require.EqualValues(t, 8, size)
	require.EqualValues(t, 1<<14-1, a.Handled_access_fs)
}

// A kernel without Landlock, a process without rights: the plan says what is missing.
func TestLacks(t *testing.T) {
	defer func(f func() int, p func() Caps) { LandlockABI, Permitted = f, p }(LandlockABI, Permitted)
	LandlockABI = func() int { return 0 }
	Permitted = func() Caps { return 0 }
	p := NewLibrary(Library{Name: "test", Files: Files{Ports: []uint16{2321}}, Processes: 10})
	text := strings.Join(p.Lacks(), ", ")
	require.Contains(t, text, "Landlock")
	require.Contains(t, text, "TCP ports")
	require.NotContains(t, strings.Join(p.Force(), ", "), "user 19")
	require.Contains(t, started(t, p, "/etc/hostname"), "was fine\n")
}

func TestNothing(t *testing.T) {
	var p *Plan
	p.KillUser()
	require.Zero(t, p.Memory())
	confined, err := Was()
	require.False(t, confined)
	require.NoError(t, err)
	groups, caps := access([]string{"/dev/null", "/nonexistent"})
	require.Empty(t, groups)
	require.Zero(t, caps)
	require.Positive(t, tasks())
}

// No two processes of a program have the same user at a time: what ends one ends
// all that its user has.
func TestUsersAreApart(t *testing.T) {
	u := userSet{taken: map[uint32]bool{}}
	have := map[uint32]bool{}
	for range 2000 {
		uid := u.take()
		require.False(t, have[uid])
		require.GreaterOrEqual(t, uid, uint32(firstUser))
		have[uid] = true
	}
	for uid := range have {
		u.release(uid)
	}
	require.Empty(t, u.taken)
}
