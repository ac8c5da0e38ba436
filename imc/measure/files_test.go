package measure

import (
	"context"
	"crypto/sha512"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

var ctx = context.Background()

func write(t *testing.T, name, content string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	return name
}

func TestMeasureFile(t *testing.T) {
	f := write(t, filepath.Join(t.TempDir(), "a.txt"), "hello\n")
	got, err := Files{}.Measure(ctx, f, false, pts.SHA384)
	require.NoError(t, err)
	sum := sha512.Sum384([]byte("hello\n"))
	require.Equal(t, []pts.MeasuredFile{{Name: "a.txt", Measurement: sum[:]}}, got)
	got, err = Files{}.Measure(ctx, f, false, pts.SHA1)
	require.NoError(t, err)
	require.Equal(t, "f572d396fae9206628714fb2ce00f72e94f2258f", fmt.Sprintf("%x", got[0].Measurement))
}

func TestMeasureDirectory(t *testing.T) {
	d := t.TempDir()
	write(t, filepath.Join(d, "b"), "")
	write(t, filepath.Join(d, "a"), "hello\n")
	write(t, filepath.Join(d, ".hidden"), "x")
	write(t, filepath.Join(d, "sub", "c"), "x")
	require.NoError(t, os.Symlink("a", filepath.Join(d, "link")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(d, "broken")))
	require.NoError(t, os.Symlink("aloop", filepath.Join(d, "aloop")))
	require.NoError(t, unix.Mkfifo(filepath.Join(d, "fifo"), 0o644))
	got, err := Files{}.Measure(ctx, d, true, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, "a", got[0].Name)
	require.Equal(t, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", fmt.Sprintf("%x", got[0].Measurement))
	require.Equal(t, "b", got[1].Name)
	require.Equal(t, "link", got[2].Name)
	require.Equal(t, got[0].Measurement, got[2].Measurement)

	meta, err := Files{}.Metadata(ctx, d, true)
	require.NoError(t, err)
	require.Len(t, meta, 3)

	empty, err := Files{}.Measure(ctx, t.TempDir(), true, pts.SHA256)
	require.NoError(t, err)
	require.Empty(t, empty)

}

func TestWhatCannotBeMeasured(t *testing.T) {
	d := t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(d, "fifo"), 0o644))
	l, err := net.Listen("unix", filepath.Join(d, "socket"))
	require.NoError(t, err)
	defer l.Close()
	write(t, filepath.Join(d, "file"), "x")
	require.NoError(t, os.Symlink("loop", filepath.Join(d, "loop")))
	for path, want := range map[string]error{
		"":                               pts.ErrNotFound,
		filepath.Join(d, "missing"):      pts.ErrNotFound,
		filepath.Join(d, "file", "x"):    pts.ErrNotFound,
		"relative":                       pts.ErrInvalidPath,
		"/a\x00b":                        pts.ErrInvalidPath,
		"/" + string(make([]byte, 5000)): pts.ErrInvalidPath,
		d:                                pts.ErrInvalidPath,
		"/dev/zero":                      pts.ErrInvalidPath,
		filepath.Join(d, "fifo"):         pts.ErrInvalidPath,
		filepath.Join(d, "socket"):       pts.ErrInvalidPath,
		filepath.Join(d, "loop"):         pts.ErrInvalidPath,
	} {
		_, err := Files{}.Measure(ctx, path, false, pts.SHA256)
		require.ErrorIs(t, err, want, "%q", path)
	}
	_, err = Files{}.Measure(ctx, filepath.Join(d, "file"), true, pts.SHA256)
	require.ErrorIs(t, err, pts.ErrNotFound, "a file is no directory")
	_, err = Files{}.Measure(ctx, filepath.Join(d, "file"), false, 0)
	require.Error(t, err)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = Files{}.Measure(cancelled, filepath.Join(d, "file"), false, pts.SHA256)
	require.ErrorIs(t, err, context.Canceled)
}

func TestMetadata(t *testing.T) {
	f := write(t, filepath.Join(t.TempDir(), "a.txt"), "hello\n")
	when := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, os.Chtimes(f, when.Add(time.Hour), when))
	got, err := Files{}.Metadata(ctx, f, false)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "a.txt", got[0].Name)
	require.Equal(t, pts.FileRegular, got[0].Type)
	require.EqualValues(t, 6, got[0].Size)
	require.Equal(t, when, got[0].Modified)
	require.Equal(t, when.Add(time.Hour), got[0].Accessed)
	require.EqualValues(t, os.Getuid(), got[0].Owner)
	require.WithinDuration(t, time.Now(), got[0].Created, time.Minute)

	d := t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(d, "fifo"), 0o644))
	for name, want := range map[string]pts.FileType{d: pts.FileDirectory, filepath.Join(d, "fifo"): pts.FileFIFO} {
		got, err = Files{}.Metadata(ctx, name, false)
		require.NoError(t, err)
		require.Equal(t, want, got[0].Type)
	}
	_, err = Files{}.Metadata(ctx, "/dev/null", false)
	require.ErrorIs(t, err, ErrRefused)
	_, err = Files{}.Metadata(ctx, "/nonexistent", false)
	require.ErrorIs(t, err, pts.ErrNotFound)
}

func TestSymlinks(t *testing.T) {
	d := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(d, "usr"), 0o755))
	write(t, filepath.Join(d, "file"), "x")
	require.NoError(t, os.Symlink("usr", filepath.Join(d, "lib")))
	require.NoError(t, os.Symlink("/", filepath.Join(d, "absolute")))
	require.NoError(t, os.Symlink("file", filepath.Join(d, "tofile")))
	got, err := Files{}.Symlinks(ctx, d)
	require.NoError(t, err)
	require.Equal(t, []patnc.Symlink{{Path: filepath.Join(d, "absolute"), Target: "/"}, {Path: filepath.Join(d, "lib"), Target: filepath.Join(d, "usr")}}, got)
}
