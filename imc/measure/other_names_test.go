package measure

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/pts"
)

// inMountNamespace runs the test once more in a process with a mount namespace of
// its own; false in the process that the test runner started.
func inMountNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("GOTNC_MOUNT_NAMESPACE") == t.Name() {
		require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("SKIP needs root")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GOTNC_MOUNT_NAMESPACE="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return false
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

// refuses holds all questions about a file against the policy.
func refuses(t *testing.T, f Files, name string) {
	t.Helper()
	_, err := f.Measure(ctx, name, false, pts.SHA256)
	require.ErrorIs(t, err, ErrRefused, name)
	_, err = f.Metadata(ctx, name, false)
	require.ErrorIs(t, err, ErrRefused, name)
	dir, base := filepath.Split(name)
	files, err := f.Measure(ctx, dir, true, pts.SHA256)
	for _, m := range files {
		require.NotEqual(t, base, m.Name, "%v", err)
	}
	meta, err := f.Metadata(ctx, dir, true)
	for _, m := range meta {
		require.NotEqual(t, base, m.Name, "%v", err)
	}
}

func allows(t *testing.T, f Files, name string) {
	t.Helper()
	_, err := f.Measure(ctx, name, false, pts.SHA256)
	require.NoError(t, err, name)
	_, err = f.Metadata(ctx, name, false)
	require.NoError(t, err, name)
}

func denying(t *testing.T, deny ...string) Files {
	t.Helper()
	p, err := NewPolicy(nil, deny)
	require.NoError(t, err)
	return Files{Policy: p}
}

// What measure_deny names is refused under every name of the same file.
func TestDenyHoldsForHardLinks(t *testing.T) {
	d := t.TempDir()
	key := write(t, filepath.Join(d, "secret", "deep", "key"), "k")
	one := write(t, filepath.Join(d, "one.key"), "1")
	both := write(t, filepath.Join(d, "both"), "2")
	require.NoError(t, os.MkdirAll(filepath.Join(d, "open"), 0o755))
	for from, to := range map[string]string{key: "hard", one: "other", both: "both2"} {
		require.NoError(t, os.Link(from, filepath.Join(d, "open", to)))
	}
	for _, deny := range []string{"/secret", "/secr?t/deep/k*", "/**/key", "/*/deep"} {
		f := denying(t, d+deny)
		refuses(t, f, key)
		refuses(t, f, filepath.Join(d, "open", "hard"))
		allows(t, f, filepath.Join(d, "open", "other"))
		allows(t, f, filepath.Join(d, "open", "both2"))
	}
	f := denying(t, d+"/*.key")
	refuses(t, f, filepath.Join(d, "open", "other"))
	allows(t, f, filepath.Join(d, "open", "hard"))

	// A link that is made while a connection lives.
	f = f.ForConnection().(Files)
	allows(t, f, both)
	late := write(t, filepath.Join(d, "late.key"), "3")
	require.NoError(t, os.Link(late, filepath.Join(d, "open", "late")))
	require.Eventually(t, func() bool {
		_, err := f.Measure(ctx, filepath.Join(d, "open", "late"), false, pts.SHA256)
		return errors.Is(err, ErrRefused)
	}, 5*time.Second, 50*time.Millisecond)
}

// What a symbolic link leads to that measure_deny covers is refused under the name
// where it lies.
func TestDenyHoldsForTargetsOfLinks(t *testing.T) {
	d := t.TempDir()
	file := write(t, filepath.Join(d, "srv", "file"), "k")
	inner := write(t, filepath.Join(d, "srv", "dir", "deep", "file"), "k")
	other := write(t, filepath.Join(d, "srv", "other"), "o")
	require.NoError(t, os.Mkdir(filepath.Join(d, "keys"), 0o755))
	require.NoError(t, os.Symlink("../srv/file", filepath.Join(d, "keys", "file")))
	require.NoError(t, os.Symlink(filepath.Join(d, "srv", "dir"), filepath.Join(d, "keys", "dir")))
	require.NoError(t, os.Symlink("loop", filepath.Join(d, "keys", "loop")))
	require.NoError(t, os.Link(file, filepath.Join(d, "srv", "hard")))
	require.NoError(t, os.Symlink("keys", filepath.Join(d, "linked")))
	for _, deny := range []string{"/keys/*", "/k*/[df]*", "/**/keys/?i*", "/lin?ed/*"} {
		f := denying(t, d+deny)
		refuses(t, f, file)
		refuses(t, f, inner)
		refuses(t, f, filepath.Join(d, "srv", "hard"))
		allows(t, f, other)
	}
	// Links below a folder that is named are not meant: /etc holds links to programs.
	allows(t, denying(t, d+"/keys"), file)
	// A user cannot have everything refused.
	if os.Getuid() == 0 {
		require.NoError(t, os.Symlink("/", filepath.Join(d, "keys", "all")))
		require.NoError(t, os.Lchown(filepath.Join(d, "keys", "all"), 1000, 1000))
		allows(t, denying(t, d+"/keys/*"), other)
	}
}

func TestDenyHoldsForBindMounts(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	d := t.TempDir()
	key := write(t, filepath.Join(d, "tree", "secret", "key"), "k")
	write(t, filepath.Join(d, "tree", "open", "file"), "o")
	file := write(t, filepath.Join(d, "bindfile"), "")
	for _, dir := range []string{"bind", "above", "spa ce", "twice"} {
		require.NoError(t, os.Mkdir(filepath.Join(d, dir), 0o755))
	}
	bind(t, filepath.Join(d, "tree", "secret"), filepath.Join(d, "bind"))
	bind(t, filepath.Join(d, "tree"), filepath.Join(d, "above"))
	bind(t, key, file)
	bind(t, filepath.Join(d, "bind"), filepath.Join(d, "spa ce"))
	bind(t, filepath.Join(d, "above"), filepath.Join(d, "twice"))
	for _, deny := range []string{"/tree/secret", "/tree/secret/key", "/tree/*/key", "/bind", "/spa?ce/key"} {
		f := denying(t, d+deny)
		for _, name := range []string{"tree/secret/key", "bind/key", "above/secret/key", "bindfile", "spa ce/key", "twice/secret/key"} {
			refuses(t, f, filepath.Join(d, name))
		}
		allows(t, f, filepath.Join(d, "above", "open", "file"))
		allows(t, f, filepath.Join(d, "twice", "open", "file"))
	}
	_, err := denying(t, d+"/tree/secret").Measure(ctx, filepath.Join(d, "bind"), true, pts.SHA256)
	require.ErrorIs(t, err, ErrRefused, "the folder itself")
	_, err = denying(t, d+"/tree/secret").Symlinks(ctx, filepath.Join(d, "above", "secret"))
	require.ErrorIs(t, err, ErrRefused)
}

// Secrets of the system count as theirs under another name too.
func TestSecretsUnderOtherNames(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	require.NoError(t, unix.Mount("tmpfs", "/etc", "tmpfs", 0, "size=1m"))
	write(t, "/etc/shadow", "root:x")
	write(t, "/etc/passwd", "root:x")
	write(t, "/etc/swanctl/private/a/own.pem", "key")
	write(t, "/etc/var/x", "x")
	require.NoError(t, os.Link("/etc/shadow", "/etc/var/hard"))
	require.NoError(t, os.Link("/etc/swanctl/private/a/own.pem", "/etc/var/own"))
	require.NoError(t, os.Mkdir("/etc/tree", 0o755))
	write(t, "/etc/file", "")
	bind(t, "/etc", "/etc/tree")
	bind(t, "/etc/shadow", "/etc/file")
	for _, name := range []string{"/etc/var/hard", "/etc/var/own", "/etc/tree/shadow", "/etc/file"} {
		refuses(t, Files{}, name)
		require.Empty(t, NewPlatform(PlatformConfig{}).Settings(ctx, []string{name}), name)
	}
	require.NotEmpty(t, NewPlatform(PlatformConfig{}).Settings(ctx, []string{"/etc/tree/passwd"}))
	allows(t, Files{}, "/etc/tree/passwd")

	p, err := NewPolicy([]string{"/", "/etc/shadow"}, nil)
	require.NoError(t, err)
	allows(t, Files{Policy: p}, "/etc/var/hard")
	refuses(t, Files{Policy: p}, "/etc/var/own")
}

// A file that is replaced while it is looked at is the denied one under either name.
func TestDenyWhileFilesAreRenamed(t *testing.T) {
	d := t.TempDir()
	key := write(t, filepath.Join(d, "secret", "key"), "k")
	link := filepath.Join(d, "link")
	require.NoError(t, os.Symlink(key, link))
	f := denying(t, key)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			next := filepath.Join(d, "secret", fmt.Sprint("next", i%2))
			_ = os.WriteFile(next, []byte("k"), 0o600)
			_ = os.Rename(next, key)
		}
	})
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		got, err := f.Measure(ctx, link, false, pts.SHA256)
		if err == nil {
			t.Errorf("measured %x", got[0].Measurement)
			break
		}
		if meta, err := f.Metadata(ctx, link, false); err == nil {
			t.Errorf("told %v", meta)
			break
		}
	}
	close(stop)
	wg.Wait()
}

// More names than are looked at: files with several of them are refused.
func TestDenyOfTooManyNames(t *testing.T) {
	d := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(d, "many", fmt.Sprint(i)), "x")
	}
	file := write(t, filepath.Join(d, "file"), "x")
	require.NoError(t, os.Link(file, filepath.Join(d, "hard")))
	alone := write(t, filepath.Join(d, "alone"), "x")
	defer func(n int) { maxNamed = n }(maxNamed)
	maxNamed = 40
	f := denying(t, d+"/many")
	refuses(t, f, file)
	allows(t, f, alone)
}

func FuzzMountTable(f *testing.F) {
	f.Add("26 1 254:0 / / rw - ext4 /dev/vda rw\n41 26 254:0 /run/net\\040ns /run/netns rw shared:1 - ext4 /dev/vda rw\n", "/run/netns/x", uint64(41))
	f.Fuzz(func(t *testing.T, table, name string, id uint64) {
		for _, n := range parseMounts([]byte(table)).names(name, id) {
			require.NotEmpty(t, n)
		}
	})
}

func TestMountTable(t *testing.T) {
	m := parseMounts([]byte("26 1 254:0 / / rw - ext4 /dev/vda rw\n" +
		"41 26 254:0 /srv/a\\040b /run/x rw shared:1 - ext4 /dev/vda rw\n" +
		"42 26 0:5 / /proc rw - proc proc rw\n" +
		"43 26 254:0 /srv//deleted /gone rw - ext4 /dev/vda rw\n" +
		"short\n44 26 x / / rw\n"))
	require.Equal(t, []string{"/srv/a b/f", "/gone/a b/f"}, m.names("/run/x/f", 41))
	require.Equal(t, []string{"/srv/a b", "/gone/a b"}, m.names("/run/x", 41))
	require.Equal(t, []string{"/run/x/f", "/gone/a b/f"}, m.names("/srv/a b/f", 26))
	require.Empty(t, m.names("/proc/1", 42))
	require.Empty(t, m.names("/etc/passwd", 26))
	require.Empty(t, m.names("/etc/passwd", 99), "not in the table")
}
