//go:build cgo && unix

package dlimc

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// As root no library is loaded that others may change, nor one in a folder that they
// may write, unless AllowWritable says so.
func TestUnsafeLibraries(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root")
	}
	e := buildIMC(t)
	folder := filepath.Dir(e.Path)
	link := e
	link.Path = filepath.Join(t.TempDir(), "link.so")
	require.NoError(t, os.Symlink(e.Path, link.Path))
	for _, c := range []struct {
		do, undo func() error
		want     string
	}{
		{func() error { return os.Chmod(e.Path, 0o757) }, func() error { return os.Chmod(e.Path, 0o755) }, "it may be changed by everybody: the file " + e.Path},
		{func() error { return os.Chown(e.Path, 1000, 0) }, func() error { return os.Chown(e.Path, 0, 0) }, "owner 1000"},
		{func() error { return os.Chmod(folder, 0o777) }, func() error { return os.Chmod(folder, 0o755) }, "the folder " + folder},
		{func() error { return os.Chown(folder, 1000, 0) }, func() error { return os.Chown(folder, 0, 0) }, "the folder " + folder},
	} {
		require.NoError(t, c.do())
		for _, in := range []bool{false, true} {
			for _, e := range []Entry{e, link} {
				_, err := Load(e, Config{InProcess: in})
				require.ErrorIs(t, err, ErrUnsafe)
				require.ErrorContains(t, err, c.want)
			}
			imc, err := Load(e, Config{InProcess: in, AllowWritable: true})
			require.NoError(t, err)
			require.NoError(t, imc.Terminate())
		}
		require.NoError(t, c.undo())
	}
	imc, err := Load(link, Config{})
	require.NoError(t, err)
	require.NoError(t, imc.Terminate())
}
