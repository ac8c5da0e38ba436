package resolvconf

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
	r := New(link, "", "home")
	require.Empty(t, r.Command, "resolvconf is for /etc/resolv.conf")
	require.Equal(t, link, r.What())
	require.NoError(t, r.Install(addrs("10.1.0.53", "2001:db8::53"), []string{"corp.test"}))
	ours := "nameserver 10.1.0.53   # by tnc, from home\nnameserver 2001:db8::53   # by tnc, from home\n"
	require.Equal(t, ours+"# theirs\nnameserver 192.0.2.53", read())
	st, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, st.Mode()&os.ModeSymlink, "the link stays one")
	st, err = os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), st.Mode().Perm())

	// A second connection, a second install, and somebody else's change.
	other := New(link, "", "office")
	require.NoError(t, other.Install(addrs("10.2.0.53"), nil))
	require.NoError(t, r.Install(addrs("10.1.0.54"), nil))
	require.NoError(t, os.WriteFile(file, []byte(read()+"\noptions rotate\n"), 0o640))
	require.NoError(t, r.Remove())
	require.Equal(t, "nameserver 10.2.0.53   # by tnc, from office\n# theirs\nnameserver 192.0.2.53\noptions rotate\n", read())
	require.NoError(t, other.Remove())
	require.NoError(t, other.Remove(), "nothing to remove")
	require.Equal(t, "# theirs\nnameserver 192.0.2.53\noptions rotate\n", read())
	left, err := filepath.Glob(filepath.Join(dir, ".resolv*"))
	require.NoError(t, err)
	require.Empty(t, left)

	// Without a file there is one afterwards only while it is needed.
	none := New(filepath.Join(dir, "none"), "", "home")
	require.NoError(t, none.Remove())
	require.NoFileExists(t, none.File)
}

// Where resolvconf is installed it is told, with an interface name of this program, and what
// a gateway names as a domain cannot become anything else.
func TestResolvconf(t *testing.T) {
	dir := t.TempDir()
	said, script := filepath.Join(dir, "said"), filepath.Join(dir, "resolvconf")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$@\" >>"+said+"\n[ $1 = -d ] || cat >>"+said+"\n"), 0o755))
	r := New("", script, "ho_me")
	require.Equal(t, script, r.Command)
	require.Equal(t, "resolvconf", r.What())
	require.NoError(t, r.Install(addrs("10.1.0.53"), []string{"corp.test", "a b;\nnameserver 6.6.6.6"}))
	require.NoError(t, r.Remove())
	b, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Equal(t, "-a lo.tnc.ho_me\nnameserver 10.1.0.53\nsearch corp.test abnameserver6.6.6.6\n-d lo.tnc.ho_me\n", string(b))
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho broken >&2; exit 3\n"), 0o755))
	require.ErrorContains(t, r.Install(addrs("10.1.0.53"), nil), "exit status 3: broken")
}

// What a killed run left beside the file goes with the next change, and a file
// that is too large to be edited stays whole.
func TestLeftoversAndLargeFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "resolv.conf")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".resolv.conf.tnc.home"), []byte("half a fi"), 0o600))
	r := New(file, "", "home")
	require.NoError(t, r.Install(addrs("10.1.0.53"), nil))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	large := bytes.Repeat([]byte("# theirs\n"), maxFile/9+1)
	require.NoError(t, os.WriteFile(file, large, 0o644))
	require.ErrorContains(t, r.Install(addrs("10.1.0.53"), nil), "stays as it is")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, b))
}
