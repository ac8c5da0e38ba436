package resolvconf

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// Our lines come first and go again; what others wrote stays, whatever they do
// meanwhile.
func TestResolvConf(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "resolv.conf.real"), filepath.Join(dir, "resolv.conf")
	require.NoError(t, os.WriteFile(file, []byte("# theirs\nnameserver 192.0.2.53"), 0o640))
	require.NoError(t, os.Symlink(file, link))
	read := func() string {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(b)
	}
	find := func(file, key string) *Place { return Find(t.Context(), Config{File: file, Key: key}) }
	r := find(link, "home")
	require.Equal(t, File, r.Way, "the others are for /etc/resolv.conf")
	require.Equal(t, link, r.What())
	require.NoError(t, r.Install(t.Context(), addrs("10.1.0.53", "2001:db8::53"), []string{"corp.test"}))
	ours := "nameserver 10.1.0.53   # by tnc, from home\nnameserver 2001:db8::53   # by tnc, from home\n"
	require.Equal(t, ours+"# theirs\nnameserver 192.0.2.53", read())
	st, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, st.Mode()&os.ModeSymlink, "the link stays one")
	st, err = os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), st.Mode().Perm())

	// A second connection, a second install, and somebody else's change.
	other := find(link, "office")
	require.NoError(t, other.Install(t.Context(), addrs("10.2.0.53"), nil))
	require.NoError(t, r.Install(t.Context(), addrs("10.1.0.54"), nil))
	require.NoError(t, os.WriteFile(file, []byte(read()+"\noptions rotate\n"), 0o640))
	require.NoError(t, r.Remove(t.Context()))
	require.Equal(t, "nameserver 10.2.0.53   # by tnc, from office\n# theirs\nnameserver 192.0.2.53\noptions rotate\n", read())
	require.NoError(t, other.Remove(t.Context()))
	require.NoError(t, other.Remove(t.Context()), "nothing to remove")
	require.Equal(t, "# theirs\nnameserver 192.0.2.53\noptions rotate\n", read())
	left, err := filepath.Glob(filepath.Join(dir, ".resolv*"))
	require.NoError(t, err)
	require.Empty(t, left)

	// Without a file there is one afterwards only while it is needed.
	none := find(filepath.Join(dir, "none"), "home")
	require.NoError(t, none.Remove(t.Context()))
	require.NoFileExists(t, none.File)
}

// Where resolvconf is installed it is told, with an interface name of this program, and what
// a gateway names as a domain cannot become anything else.
func TestResolvconf(t *testing.T) {
	dir := t.TempDir()
	said, script := filepath.Join(dir, "said"), filepath.Join(dir, "resolvconf")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n[ $1 = --version ] && exit 1\necho \"$@\" >>"+said+"\n[ $1 = -d ] || cat >>"+said+"\n"), 0o755))
	r := Find(t.Context(), Config{Command: script, Key: "ho_me"})
	require.Equal(t, script, r.Command)
	require.Equal(t, "resolvconf", r.What())
	require.NoError(t, r.Install(t.Context(), addrs("10.1.0.53"), []string{"corp.test", "a b;\nnameserver 6.6.6.6"}))
	require.NoError(t, r.Remove(t.Context()))
	b, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Equal(t, "-a lo.tnc.ho_me\nnameserver 10.1.0.53\nsearch corp.test abnameserver6.6.6.6\n-d lo.tnc.ho_me\n", string(b))
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n[ $1 = --version ] && exit 1\necho broken >&2; exit 3\n"), 0o755))
	require.ErrorContains(t, r.Install(t.Context(), addrs("10.1.0.53"), nil), "exit status 3: broken")
}

// What a killed run left beside the file goes with the next change, and a file
// that is too large to be edited stays whole.
func TestLeftoversAndLargeFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "resolv.conf")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".resolv.conf.tnc.home"), []byte("half a fi"), 0o600))
	r := Find(t.Context(), Config{File: file, Key: "home"})
	require.NoError(t, r.Install(t.Context(), addrs("10.1.0.53"), nil))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	large := bytes.Repeat([]byte("# theirs\n"), maxFile/9+1)
	require.NoError(t, os.WriteFile(file, large, 0o644))
	require.ErrorContains(t, r.Install(t.Context(), addrs("10.1.0.53"), nil), "stays as it is")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, b))
}

// What rewrites resolv.conf meanwhile drops our lines for a moment only; lines of
// another connection before ours are no reason to write.
func TestLinesAreKept(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "resolv.conf")
	require.NoError(t, os.WriteFile(file, []byte("nameserver 192.0.2.1\n"), 0o644))
	p := Find(t.Context(), Config{File: file, Key: "home"})
	require.NoError(t, p.Install(t.Context(), addrs("10.1.0.53"), nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Keep(ctx, 5*time.Millisecond, func(err error) { t.Error(err) })
	}()
	const theirs = "# Generated by NetworkManager\nnameserver 192.0.2.2\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), []byte(theirs), 0o644))
	require.NoError(t, os.Rename(filepath.Join(dir, "new"), file))
	read := func() string {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(b)
	}
	require.Eventually(t, func() bool { return read() == "nameserver 10.1.0.53   # by tnc, from home\n"+theirs }, 5*time.Second, time.Millisecond)
	other := Find(t.Context(), Config{File: file, Key: "office"})
	require.NoError(t, other.Install(t.Context(), addrs("10.2.0.53"), nil))
	both := read()
	time.Sleep(50 * time.Millisecond)
	require.Equal(t, both, read(), "they do not fight")
	require.NoError(t, other.Remove(t.Context()))
	cancel()
	<-done
	require.NoError(t, p.Remove(t.Context()))
	require.Equal(t, theirs, read())
}

// A link that leads to a file that is not there stays a link, which leads nowhere
// again at the end; what resolv.conf is a link to may change meanwhile.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	link, file := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "run", "resolv.conf")
	require.NoError(t, os.Symlink("run/resolv.conf", link))
	p := Find(t.Context(), Config{File: link, Key: "home"})
	require.NoError(t, p.Install(t.Context(), addrs("10.1.0.53"), nil))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "nameserver 10.1.0.53   # by tnc, from home\n", string(b))
	record, err := json.Marshal(p)
	require.NoError(t, err)
	later := new(Place) // of the run after a kill
	require.NoError(t, json.Unmarshal(record, later))
	require.NoError(t, later.Remove(t.Context()))
	require.NoFileExists(t, file)
	to, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "run/resolv.conf", to)

	loop := filepath.Join(dir, "loop")
	require.NoError(t, os.Symlink(loop, loop))
	require.Error(t, Find(t.Context(), Config{File: loop, Key: "home"}).Install(t.Context(), addrs("10.1.0.53"), nil))
}

// The file of another user stays that user's: a service that is not root leaves
// nothing that belongs to it.
func TestOwnerStays(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP gives a file away: run as root")
	}
	file := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Chown(file, 1234, 4321))
	require.NoError(t, Find(t.Context(), Config{File: file, Key: "home"}).Install(t.Context(), addrs("10.1.0.53"), nil))
	var st unix.Stat_t
	require.NoError(t, unix.Stat(file, &st))
	require.Equal(t, [2]uint32{1234, 4321}, [2]uint32{st.Uid, st.Gid})
}
