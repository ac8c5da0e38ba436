package measure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

func limited(l Limits) Files { return Files{Limits: l} }

func TestLimits(t *testing.T) {
	d := t.TempDir()
	for i := range 10 {
		write(t, filepath.Join(d, fmt.Sprint("f", i)), strings.Repeat("x", 1000))
		write(t, filepath.Join(d, fmt.Sprint(".h", i)), "x")
		require.NoError(t, os.Mkdir(filepath.Join(d, fmt.Sprint("d", i)), 0o755))
	}
	_, err := limited(Limits{MaxFiles: 10, MaxBytes: 10_000}).Measure(ctx, d, true, pts.SHA256)
	require.NoError(t, err, "neither hidden names nor directories count")

	for _, c := range []struct {
		limits Limits
		want   error
		text   string
	}{
		{Limits{MaxFiles: 9}, ErrTooManyFiles, "measure_max_files = 9"},
		{Limits{MaxBytes: 9_999}, ErrTooMuch, "measure_max_bytes = 9999"},
		{Limits{Timeout: 1}, ErrTooSlow, "measure_max_seconds"},
	} {
		_, err := limited(c.limits).Measure(ctx, d, true, pts.SHA256)
		require.ErrorIs(t, err, c.want)
		require.ErrorIs(t, err, pts.ErrInvalidPath, "the verifier is answered")
		require.ErrorContains(t, err, c.text)
	}
	_, err = limited(Limits{MaxFiles: 9}).Metadata(ctx, d, true)
	require.ErrorIs(t, err, ErrTooManyFiles)
	_, err = limited(Limits{MaxBytes: 999}).Measure(ctx, filepath.Join(d, "f1"), false, pts.SHA256)
	require.ErrorIs(t, err, ErrTooMuch)

	// The end of the IMC is no answer.
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	for name, directory := range map[string]bool{d: true, filepath.Join(d, "f1"): false} {
		_, err = Files{}.Measure(stopped, name, directory, pts.SHA256)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, pts.ErrInvalidPath)
	}
}

// TestSparseFile: a file of 1 TiB, all hole, ends at the limit of octets at once
// and else at the limit of time.
func TestSparseFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sparse")
	write(t, name, "")
	if err := os.Truncate(name, 1<<40); err != nil {
		t.Skipf("SKIP needs a file system with sparse files: %v", err)
	}
	start := time.Now()
	_, err := Files{}.Measure(ctx, name, false, pts.SHA256)
	require.ErrorIs(t, err, ErrTooMuch)
	require.Less(t, time.Since(start), time.Second)
	_, err = limited(Limits{MaxBytes: 1 << 41, Timeout: 100 * time.Millisecond}).Measure(ctx, name, false, pts.SHA256)
	require.ErrorIs(t, err, ErrTooSlow)
	require.Less(t, time.Since(start), 5*time.Second)
	waitFor(t, "the reader of the file to end", func() bool { return abandoned.Load() == 0 && len(slots) == 0 })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

// TestSilentFileSystem mounts a FUSE file system whose server never answers.
func TestSilentFileSystem(t *testing.T) {
	d := t.TempDir()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("SKIP needs /dev/fuse: %v", err)
	}
	closed := false
	stop := func() { // every call that waits fails with ENOTCONN
		if !closed {
			closed = true
			unix.Close(fuse)
		}
	}
	defer stop()
	if err := unix.Mount("silent", d, "fuse", unix.MS_NODEV|unix.MS_NOSUID, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse)); err != nil {
		t.Skipf("SKIP needs the right to mount: %v", err)
	}
	defer unix.Unmount(d, unix.MNT_DETACH)

	f := limited(Limits{Timeout: 50 * time.Millisecond})
	before := len(slots)
	for _, name := range []string{d, filepath.Join(d, "a"), filepath.Join(d, "b", "c")} {
		start := time.Now()
		_, err := f.Measure(ctx, name, false, pts.SHA256)
		require.ErrorIs(t, err, ErrTooSlow)
		require.Less(t, time.Since(start), 5*time.Second)
	}
	require.EqualValues(t, 3, abandoned.Load())
	require.Equal(t, before, len(slots), "what hangs keeps no other request from running")
	other := write(t, filepath.Join(t.TempDir(), "x"), "x")
	_, err = f.Measure(ctx, other, false, pts.SHA256)
	require.NoError(t, err)

	abandoned.Add(maxAbandoned - 3)
	_, err = f.Measure(ctx, other, false, pts.SHA256)
	require.ErrorIs(t, err, ErrStuck)
	require.ErrorIs(t, err, pts.ErrInvalidPath)
	abandoned.Add(3 - maxAbandoned)

	stop()
	waitFor(t, "the calls to end with their server", func() bool { return abandoned.Load() == 0 })
}

// TestNothingBlocks asks for one of everything, allowed by the settings.
func TestNothingBlocks(t *testing.T) {
	d := t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(d, "fifo"), 0o644))
	l, err := net.Listen("unix", filepath.Join(d, "socket"))
	require.NoError(t, err)
	defer l.Close()
	f := Files{Limits: Limits{Timeout: time.Second, MaxBytes: 1 << 20}}
	f.Policy, err = NewPolicy([]string{"/", "/dev", "/proc", "/sys"}, nil)
	require.NoError(t, err)
	names := []string{filepath.Join(d, "fifo"), filepath.Join(d, "socket"), d,
		"/dev/zero", "/dev/random", "/dev/tty", "/dev/console", "/dev/kmsg", "/dev/ptmx", "/dev/fuse",
		"/proc/kmsg", "/proc/kcore", "/proc/self/mem", "/proc/self/fd/0", "/proc/self/pagemap", "/proc/sysrq-trigger", "/proc/self/root", "/proc/1/environ",
		"/sys/kernel/debug/tracing/trace_pipe", "/sys/kernel/tracing/trace_pipe", "/sys/kernel/security/ima/ascii_runtime_measurements",
	}
	for _, name := range names {
		start := time.Now()
		if _, err := f.Measure(ctx, name, false, pts.SHA256); err != nil {
			require.True(t, errors.Is(err, pts.ErrInvalidPath) || errors.Is(err, pts.ErrNotFound), "%s: %v", name, err)
		}
		require.Less(t, time.Since(start), 5*time.Second, name)
	}
	for _, directory := range []string{"/proc/self", "/proc/self/fd", "/dev", "/sys/kernel", "/proc/sys/kernel"} {
		start := time.Now()
		_, _ = f.Measure(ctx, directory, true, pts.SHA256)
		_, _ = f.Metadata(ctx, directory, true)
		_, _ = f.Symlinks(ctx, directory)
		require.Less(t, time.Since(start), 10*time.Second, directory)
	}
}

// TestDeviceIsNotOpened: looking at a FIFO does not even open it.
func TestDeviceIsNotOpened(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o644))
	w, err := unix.Open(fifo, unix.O_RDWR|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer unix.Close(w)
	_, err = unix.Write(w, []byte("kept"))
	require.NoError(t, err)
	_, err = Files{}.Measure(ctx, fifo, false, pts.SHA256)
	require.ErrorIs(t, err, pts.ErrInvalidPath)
	_, err = Files{}.Measure(ctx, filepath.Dir(fifo), true, pts.SHA256)
	require.NoError(t, err)
	b := make([]byte, 8)
	n, err := unix.Read(w, b)
	require.NoError(t, err)
	require.Equal(t, "kept", string(b[:n]))
}

func TestLeasedFile(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "a"), "hello\n")
	w, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	if _, err := unix.FcntlInt(uintptr(w), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		unix.Close(w)
		t.Skipf("SKIP needs a file system with leases: %v", err)
	}
	// The holder gives the lease up when it is asked to.
	time.AfterFunc(50*time.Millisecond, func() { unix.Close(w) })
	got, err := Files{}.Measure(ctx, name, false, pts.SHA256)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("hello\n"))
	require.Equal(t, sum[:], got[0].Measurement)
}

// TestChangingFile: a file that is written all the time is answered, with a line
// in the log; one that changes once has the digest of what it became.
func TestChangingFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(name, make([]byte, 8<<20), 0o644))
	w, err := os.OpenFile(name, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer w.Close()
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := 0; !stop.Load(); i++ {
			_, _ = w.WriteAt([]byte{byte(i)}, int64(i%(8<<20)))
		}
	}()
	var f Files
	waitFor(t, "a measurement during which the file changes", func() bool {
		var out strings.Builder
		f = Files{Logger: log.NewWriter(&out, slog.LevelInfo)}.ForConnection().(Files)
		f.cache.now = func() time.Time { return time.Now().Add(time.Hour) }
		got, err := f.Measure(ctx, name, false, pts.SHA256)
		require.NoError(t, err)
		require.Len(t, got[0].Measurement, 32)
		return strings.Contains(out.String(), "changes while it is measured")
	})
	stop.Store(true)
	wg.Wait()
	require.Empty(t, f.cache.digests, "such a digest is not kept")

	// A file that grows for ever ends at a limit.
	stop.Store(false)
	wg.Add(1)
	go func() {
		defer wg.Done()
		block := make([]byte, 64<<10)
		for size := int64(8 << 20); !stop.Load() && size < 1<<30; size += int64(len(block)) {
			_, _ = w.WriteAt(block, size)
		}
	}()
	_, err = limited(Limits{MaxBytes: 32 << 20}).Measure(ctx, name, false, pts.SHA256)
	stop.Store(true)
	wg.Wait()
	if err != nil { // the reader may outrun the writer
		require.ErrorIs(t, err, ErrTooMuch)
	}

	// Cut short while it is read.
	require.NoError(t, os.Truncate(name, 10))
	got, err := f.Measure(ctx, name, false, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestNamesAreOctets(t *testing.T) {
	d := t.TempDir()
	names := []string{"\x01\n", "a b", "latin1-\xe4\xff", "ünïcode", "\xff\xfe", strings.Repeat("n", 255)}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(d, n), []byte(n), 0o644); err != nil {
			t.Skipf("SKIP needs a file system that takes any octets as a name: %v", err)
		}
	}
	got, err := Files{}.Measure(ctx, d, true, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, len(names))
	for _, f := range got {
		sum := sha256.Sum256([]byte(f.Name))
		require.Equal(t, sum[:], f.Measurement, "%q", f.Name)
	}
	b, err := pts.FileMeasurement{Files: got}.AppendValue(nil)
	require.NoError(t, err)
	require.Contains(t, string(b), "latin1-\xe4\xff")
	one, err := Files{}.Measure(ctx, filepath.Join(d, "latin1-\xe4\xff"), false, pts.SHA256)
	require.NoError(t, err)
	require.Equal(t, "latin1-\xe4\xff", one[0].Name)
	_, err = Files{}.Measure(ctx, d+"/\xff\n\x1b[31m", false, pts.SHA256)
	require.ErrorIs(t, err, pts.ErrNotFound)
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), "\x1b")
}

// TestUnchangedFileIsNotReadAgain watches the access by the limit of octets.
func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	d := t.TempDir()
	name := write(t, filepath.Join(d, "a"), strings.Repeat("x", 1000))
	require.NoError(t, os.Link(name, filepath.Join(d, "b")))
	c := Files{}.ForConnection().(Files)
	cold := func() Files { f := c; f.MaxBytes = 1; return f } // reads nothing
	sum := func(f Files) ([]byte, error) {
		got, err := f.Measure(ctx, name, false, pts.SHA256)
		if err != nil {
			return nil, err
		}
		return got[0].Measurement, nil
	}

	first, err := sum(c)
	require.NoError(t, err)
	_, err = sum(cold())
	require.ErrorIs(t, err, ErrTooMuch, "written a moment ago: its times have not settled")

	c.cache.now = func() time.Time { return time.Now().Add(time.Minute) }
	_, err = sum(c)
	require.NoError(t, err)
	again, err := sum(cold())
	require.NoError(t, err)
	require.Equal(t, first, again)
	got, err := cold().Measure(ctx, d, true, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, 2, "the other link to the same file, in the directory, too")
	_, err = cold().Measure(ctx, name, false, pts.SHA384)
	require.ErrorIs(t, err, ErrTooMuch, "another algorithm")
	_, err = sum(limited(Limits{MaxBytes: 1}).ForConnection().(Files))
	require.ErrorIs(t, err, ErrTooMuch, "another connection")

	// Same size, same mtime: only ctime tells.
	st, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("y", 1000)), 0o644))
	require.NoError(t, os.Chtimes(name, st.ModTime(), st.ModTime()))
	_, err = sum(cold())
	require.ErrorIs(t, err, ErrTooMuch)
	changed, err := sum(c)
	require.NoError(t, err)
	want := sha256.Sum256([]byte(strings.Repeat("y", 1000)))
	require.Equal(t, want[:], changed)

	// The bound over all connections, and that a connection gives back.
	held := cachedOfAll.Load()
	require.Positive(t, held)
	cachedOfAll.Add(maxCachedOfAll)
	other := Files{}.ForConnection().(Files)
	other.cache.now = c.cache.now
	_, err = sum(other)
	require.NoError(t, err)
	require.Empty(t, other.cache.digests)
	cachedOfAll.Add(-maxCachedOfAll)
	c = Files{}
	waitFor(t, "the cache to be collected", func() bool { runtime.GC(); return cachedOfAll.Load() < held })
}

func TestAlgorithmsAgree(t *testing.T) {
	// Sizes around those where the way of reading changes.
	d := t.TempDir()
	for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, readAhead, readAhead + 12345, blocks * readAhead} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		name := filepath.Join(d, fmt.Sprint("f", size))
		require.NoError(t, os.WriteFile(name, data, 0o644))
		for _, alg := range []pts.HashAlgorithms{pts.SHA1, pts.SHA256, pts.SHA384, pts.SHA512} {
			got, err := Files{}.Measure(ctx, name, false, alg)
			require.NoError(t, err)
			h, _ := alg.New()
			h.Write(data)
			require.Equal(t, h.Sum(nil), got[0].Measurement, "%d octets, %v", size, alg)
		}
		require.NoError(t, os.Remove(name))
	}
}

// TestMillionNames: a directory with more names than are taken is refused before
// it is read to its end, and memory does not grow with it; with the limit
// raised it is measured.
func TestMillionNames(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 120_000
	}
	d, err := os.MkdirTemp("/dev/shm", "gotnc") // in memory: disks take minutes
	if err != nil {
		d = t.TempDir()
	}
	defer os.RemoveAll(d)
	first := write(t, filepath.Join(d, "0000000"), "x")
	for i := 1; i < n; i++ {
		if err := unix.Link(first, fmt.Sprintf("%s/%07d", d, i)); errors.Is(err, unix.EMLINK) {
			first = write(t, fmt.Sprintf("%s/%07d", d, i), "x")
		} else {
			require.NoError(t, err)
		}
	}
	policy, err := NewPolicy([]string{d}, nil)
	require.NoError(t, err)
	start, memory := time.Now(), allocated()
	_, err = Files{Policy: policy}.Measure(ctx, d, true, pts.SHA256)
	require.ErrorIs(t, err, ErrTooManyFiles)
	t.Logf("refused in %v, %d KiB allocated", time.Since(start), (allocated()-memory)>>10)
	require.Less(t, allocated()-memory, uint64(64<<20))

	f := Files{Policy: policy, Limits: Limits{MaxFiles: n, Timeout: 10 * time.Minute}}
	start, memory = time.Now(), allocated()
	got, err := f.Measure(ctx, d, true, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, n)
	require.Equal(t, fmt.Sprintf("%07d", n-1), got[n-1].Name)
	require.True(t, bytes.Equal(got[0].Measurement, got[n/2].Measurement))
	t.Logf("%d names measured in %v, %d octets allocated a name", n, time.Since(start), (allocated()-memory)/uint64(n))
	require.Less(t, (allocated()-memory)/uint64(n), uint64(2000))
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestMemoryDoesNotGrowWithSize measures large files and looks at what is
// allocated.
func TestMemoryDoesNotGrowWithSize(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large")
	write(t, name, "")
	require.NoError(t, os.Truncate(name, 256<<20))
	before := allocated()
	_, err := Files{}.Measure(ctx, name, false, pts.SHA256)
	require.NoError(t, err)
	require.Less(t, allocated()-before, uint64(4<<20))
}

func TestManyConnectionsAtOnce(t *testing.T) {
	d := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(d, fmt.Sprintf("f%02d", i)), strings.Repeat("x", i*100))
	}
	want, err := Files{}.Measure(ctx, d, true, pts.SHA384)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			m := Files{}.ForConnection()
			for range 3 {
				got, err := m.Measure(ctx, d, true, pts.SHA384)
				if err != nil || len(got) != len(want) || !bytes.Equal(got[49].Measurement, want[49].Measurement) {
					t.Error(err, len(got))
				}
			}
		}()
	}
	wg.Wait()
	require.Empty(t, slots)
}

func TestPanicIsAnError(t *testing.T) {
	_, err := run(ctx, Files{}, func(*request) (int, error) { panic("bug") })
	require.ErrorContains(t, err, "panic: bug")
}
