package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/internal/need"
)

// No two names share files, on a file system without upper case either; a name
// that is no trouble names its files as it is.
func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"home", "a.b", "a_b", "a-b", "a b", "a/b", "a__b", "A_b", "a_B", "HOME", "Home", "", ".", "..", "../home", "/", "a/../b",
		"größe", "grösse", "gr__e", "日本", "日本語", "a\nb", "a\x00b", "home.lock", "net-4026531840-3",
		strings.Repeat("x", 40), strings.Repeat("x", 41), strings.Repeat("x", 42), strings.Repeat("x", 4000), strings.Repeat("ü", 255), fileName("a.b"),
	} {
		file := fileName(name)
		require.Empty(t, seen[strings.ToLower(file)], "%q and %q share %q", seen[strings.ToLower(file)], name, file)
		seen[strings.ToLower(file)] = fmt.Sprintf("%q", name)
		require.Regexp(t, `^[a-z0-9_-]{1,40}$|^[a-z0-9_-]{0,16}\.[0-9a-f]{32}$`, file)
	}
	for _, name := range []string{"home", "a_b", "a-b", "site-2"} {
		require.Equal(t, name, fileName(name))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if a != b && strings.EqualFold(fileName(a), fileName(b)) {
			t.Fatalf("%q and %q share %q", a, b, fileName(a))
		}
	})
}

// runUp runs a connection that stays until the test or end ends it.
func (s *site) runUp(change func(*Config)) (c *Client, end func() error) {
	s.t.Helper()
	up := make(chan Result, 4)
	c = s.client(func(cfg *Config) {
		cfg.Stay = true
		cfg.Plane = &dataplanetest.Plane{Describes: dataplane.Info{Kind: dataplane.TUN, Carries: true}}
		cfg.OnUp = func(r Result) { up <- r }
		if change != nil {
			change(cfg)
		}
	})
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx)
		ended <- err
	}()
	select {
	case <-up:
	case err := <-ended:
		cancel()
		require.NoError(s.t, err)
		require.Fail(s.t, "it ended")
	}
	return c, func() error {
		cancel()
		err := <-ended
		c.Close()
		return err
	}
}

// Connections whose names differ in what a file name cannot hold are up at once,
// and each is found by its name.
func TestNamesDoNotShareARunFolder(t *testing.T) {
	dir := RunDir(filepath.Join(t.TempDir(), strings.Repeat("long", 30))) // longer than the address of a socket
	names := []string{"a.b", "a_b", "A_b", strings.Repeat("x", 300), "größe"}
	for _, name := range names {
		s := newSite(t, nil)
		s.name = name
		_, end := s.runUp(func(cfg *Config) { cfg.RunDir = dir })
		defer func() { require.NoError(t, end()) }()
	}
	require.ElementsMatch(t, names, dir.Names())
	all, err := dir.Statuses(t.Context())
	require.NoError(t, err)
	require.Len(t, all, len(names))
	_, err = dir.Down(t.Context(), "a-b")
	require.ErrorIs(t, err, ErrNotUp)
}

// The first thread of the process keeps its namespace: it cannot end.
func init() { runtime.LockOSThread() }

// inNamespace runs f in a network namespace of its own.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	need.Root(t)
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		f()
	}()
	require.NoError(t, <-done)
}

// Each network namespace has its own folder; that of one that is no more is
// removed by the next run, with the name servers that were given to the machine.
func TestNamespacesDoNotShareARunFolder(t *testing.T) {
	base := t.TempDir()
	t.Setenv(RunDirVariable, base)
	here := runDirHere(true)
	require.Equal(t, RunDir(base), here, "the first one has the folder itself")
	var first, second RunDir
	inNamespace(t, func() {
		first = runDirHere(true)
		f, err := first.lock("home")
		require.NoError(t, err)
		require.Equal(t, first, DefaultRunDir(), "down and status look there")
		resolv := filepath.Join(base, "resolv.conf")
		require.NoError(t, os.WriteFile(resolv, []byte("nameserver 10.1.0.53   # by tnc, from home.net-1\nnameserver 192.0.2.1\n"), 0o644))
		require.NoError(t, f.save(cleanupRecord{NameServers: &resolvconf.Place{Way: resolvconf.File, File: resolv, Key: "home.net-1"}}))
		key := first.nameServerKey("home")
		inNamespace(t, func() {
			second = runDirHere(true)
			sweepNamespaces(second, nil)
			require.DirExists(t, string(first), "it is alive")
			g, err := second.lock("home")
			require.NoError(t, err)
			require.NotEqual(t, key, second.nameServerKey("home"))
			require.NoError(t, g.lock.Close())
		})
		require.NoError(t, f.lock.Close()) // as if killed
	})
	require.NotEqual(t, here, first)
	require.NotEqual(t, here, second)
	require.NotEqual(t, first, second)
	for _, d := range []RunDir{first, second} {
		require.Equal(t, base, filepath.Dir(string(d)))
	}
	require.Equal(t, here, DefaultRunDir())
	sweepNamespaces(here, nil)
	require.NoDirExists(t, string(first))
	require.NoDirExists(t, string(second))
	b, err := os.ReadFile(filepath.Join(base, "resolv.conf"))
	require.NoError(t, err)
	require.Equal(t, "nameserver 192.0.2.1\n", string(b))
}

// A folder whose namespace is no more is of the next one that uses it.
func TestRunFolderOfANamespaceThatEnded(t *testing.T) {
	base := t.TempDir()
	t.Setenv(RunDirVariable, base)
	inNamespace(t, func() {
		require.Equal(t, RunDir(base), runDirHere(true))
		require.Equal(t, RunDir(base), DefaultRunDir())
	})
	require.NotEqual(t, RunDir(base), DefaultRunDir())
	require.Equal(t, RunDir(base), runDirHere(true))
	require.Equal(t, RunDir(base), DefaultRunDir())
}

// tnc down removes what a killed run left.
func TestDownAfterAKill(t *testing.T) {
	dir := RunDir(t.TempDir())
	resolv := filepath.Join(string(dir), "resolv.conf")
	require.NoError(t, os.WriteFile(resolv, []byte("nameserver 10.1.0.53   # by tnc, from home\nnameserver 192.0.2.1\n"), 0o644))
	f, err := dir.lock("home")
	require.NoError(t, err)
	require.NoError(t, f.save(cleanupRecord{NameServers: &resolvconf.Place{Way: resolvconf.File, File: resolv, Key: "home"}}))
	require.NoError(t, f.lock.Close())
	killed, err := dir.Down(t.Context(), "home")
	require.NoError(t, err)
	require.True(t, killed)
	b, err := os.ReadFile(resolv)
	require.NoError(t, err)
	require.Equal(t, "nameserver 192.0.2.1\n", string(b))
	_, err = dir.Down(t.Context(), "home")
	require.ErrorIs(t, err, ErrNotUp)
	require.EqualError(t, err, `connection "home" is not up`)

	require.NoError(t, os.WriteFile(dir.file("home", recordExt), []byte("half a rec"), 0o600))
	killed, err = dir.Down(t.Context(), "home")
	require.NoError(t, err)
	require.True(t, killed)
	require.NoFileExists(t, dir.file("home", recordExt))
}
