package ownership

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func file(t *testing.T, name string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, nil, 0o644))
	return name
}

func find(t *testing.T, path string) *Risk {
	t.Helper()
	r, err := Find(path)
	require.NoError(t, err)
	return r
}

func TestFind(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root")
	}
	d := t.TempDir() // below /tmp, which is sticky
	f := file(t, filepath.Join(d, "a", "b", "f"))
	require.Nil(t, find(t, f))
	a, b := filepath.Join(d, "a"), filepath.Join(d, "a", "b")
	for _, c := range []struct {
		name         string
		do, undo     func() error
		path, kind   string
		who, further string
	}{
		{"written by all", chmod(f, 0o646), chmod(f, 0o644), f, "file", "everybody", "mode 0646"},
		{"written by root's group", chmod(f, 0o664), chmod(f, 0o644), "", "", "", ""},
		{"another owner", chown(f, 1000, 0), chown(f, 0, 0), f, "file", "its owner, the user with ID 1000", "owner 1000"},
		{"its folder", chmod(b, 0o777), chmod(b, 0o755), b, "folder", "everybody", "mode 0777"},
		{"a folder above", chown(a, 1001, 0), chown(a, 0, 0), a, "folder", "its owner, the user with ID 1001", ""},
		{"a sticky folder", chmod(a, 0o777|os.ModeSticky), chmod(a, 0o755), "", "", "", ""},
		{"another's folder in a sticky folder", func() error { return both(chmod(a, 0o777|os.ModeSticky), chown(b, 1000, 0)) }, func() error { return both(chmod(a, 0o755), chown(b, 0, 0)) }, b, "folder", "its owner, the user with ID 1000", ""},
	} {
		require.NoError(t, c.do(), c.name)
		r := find(t, f)
		require.NoError(t, c.undo())
		if c.path == "" {
			require.Nil(t, r, c.name)
			continue
		}
		require.NotNil(t, r, c.name)
		require.Equal(t, []string{c.path, c.kind, c.who}, []string{r.Path, r.Kind, r.Who}, c.name)
		require.Contains(t, r.String(), c.further)
	}
	require.NoError(t, os.Chown(f, 0, 1234))
	require.Nil(t, find(t, f))
	require.NoError(t, os.Chmod(f, 0o664))
	require.Equal(t, "the group with ID 1234", find(t, f).Who)
	require.Equal(t, "may be changed by the group with ID 1234: the file "+f+" has owner 0, group 1234 and mode 0664", find(t, f).String())
}

func chmod(name string, mode os.FileMode) func() error {
	return func() error { return os.Chmod(name, mode) }
}

func chown(name string, uid, gid int) func() error {
	return func() error { return os.Chown(name, uid, gid) }
}

func both(a, b func() error) error {
	if err := a(); err != nil {
		return err
	}
	return b()
}

func TestFindFollowsLinks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root")
	}
	d := t.TempDir()
	f := file(t, filepath.Join(d, "bad", "f"))
	require.NoError(t, os.Symlink("bad", filepath.Join(d, "folder")))
	require.NoError(t, os.Symlink(filepath.Join(d, "folder", "f"), filepath.Join(d, "link")))
	require.NoError(t, os.Symlink("loop", filepath.Join(d, "loop")))
	link := filepath.Join(d, "link")
	require.Nil(t, find(t, link))
	require.NoError(t, os.Chown(filepath.Dir(f), 1000, 0))
	require.Equal(t, filepath.Join(d, "bad"), find(t, link).Path)
	require.NoError(t, os.Chown(filepath.Dir(f), 0, 0))

	// A link of another user in a sticky folder may be replaced.
	require.NoError(t, os.Mkdir(filepath.Join(d, "tmp"), 0o777))
	require.NoError(t, os.Chmod(filepath.Join(d, "tmp"), 0o777|os.ModeSticky))
	sticky := filepath.Join(d, "tmp", "link")
	require.NoError(t, os.Symlink(f, sticky))
	require.Nil(t, find(t, sticky))
	require.NoError(t, os.Lchown(sticky, 1000, 1000))
	require.Equal(t, "link", find(t, sticky).Kind)

	_, err := Find(filepath.Join(d, "loop"))
	require.ErrorIs(t, err, unix.ELOOP)
	_, err = Find(filepath.Join(d, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFindReadsAccessControlLists(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root")
	}
	f := file(t, filepath.Join(t.TempDir(), "f"))
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{0x01, 6, 1<<32 - 1}, {0x02, 6, 1000}, {0x04, 4, 1<<32 - 1}, {0x10, 6, 1<<32 - 1}, {0x20, 4, 1<<32 - 1}} {
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e[0]))
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e[1]))
		acl = binary.LittleEndian.AppendUint32(acl, e[2])
	}
	if err := unix.Setxattr(f, "system.posix_acl_access", acl, 0); err != nil {
		t.Skip("SKIP the file system has no access control lists: ", err)
	}
	require.Contains(t, find(t, f).Who, "the user with ID 1000")
}
