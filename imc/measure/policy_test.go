package measure

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		allow, deny string
		yes, no     string
	}{
		{"", "", "/ /etc /etc/passwd /proctor /devices /system", "/proc /proc/1/mem /sys /sys/x /dev /dev/zero /dev/shm/x"},
		{"/usr/bin /etc/*.conf", "", "/usr/bin /usr/bin/ls /usr/bin/a/b /etc/a.conf /etc/.conf", "/ /usr /usr/bin2 /etc /etc/a.txt /etc/d/a.conf /proc/a.conf"},
		{"/a/**/z", "", "/a/z /a/b/z /a/b/c/z /a/z/z /a/b/z/below", "/a /a/b /b/z /a/zz"},
		{"/**", "", "/ /x /x/y", "/proc/cmdline /dev/null"},
		{"/", "/home /**/*.key /etc/ssl/[!c]*", "/etc /etc/ssl /etc/ssl/certs /homes /a/b.pem", "/home /home/me/x /a.key /etc/ssh/b.key /etc/ssl/private/x"},
		{"/ /proc/cmdline /sys/class/dmi/**", "", "/etc /proc/cmdline /sys/class/dmi/id/x", "/proc/version /sys/class /dev/null /proc"},
		{"/ /proc", "/proc/kcore", "/proc /proc/1/maps", "/proc/kcore /sys"},
		{"/a\\*b /c?", "", "/a*b /cd", "/axb /c /cde /c/"},
		{"/a/**", "/a/**/**/**/**/**/**/**/**/x", "/a/" + strings.Repeat("a/", 40) + "y", "/a/b/x"},
	} {
		p, err := NewPolicy(strings.Fields(c.allow), strings.Fields(c.deny))
		require.NoError(t, err)
		for _, name := range strings.Fields(c.yes) {
			require.NoError(t, p.Check(name), "%q of allow %q deny %q", name, c.allow, c.deny)
		}
		for _, name := range strings.Fields(c.no) {
			require.ErrorIs(t, p.Check(name), ErrRefused, "%q of allow %q deny %q", name, c.allow, c.deny)
		}
	}
}

// TestWrongPolicy: a wrong pattern never allows more.
func TestWrongPolicy(t *testing.T) {
	for _, c := range []struct{ allow, deny string }{
		{"", "etc"}, {"", "/[a"}, {"", "/a/../b"}, {"/etc", "/home /["}, {"relative", ""},
	} {
		p, err := NewPolicy(strings.Fields(c.allow), strings.Fields(c.deny))
		require.Error(t, err)
		require.ErrorIs(t, p.Check("/etc/passwd"), ErrRefused, "%q %q", c.allow, c.deny)
	}
	p, err := NewPolicy([]string{"/etc", "x"}, nil)
	require.ErrorContains(t, err, `measure_allow: pattern "x" is not an absolute path`)
	require.NoError(t, p.Check("/etc/passwd"))
	require.ErrorIs(t, p.Check("/x"), ErrRefused)
}

func TestPolicyMatchesWhatItNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a-z*?\[\\.]{1,6}`), 1, 5).Draw(t, "parts")
		name := "/x" + strings.Join(parts, "/x")
		p, err := NewPolicy([]string{escape(name)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.Check(name) != nil || p.Check(name+"/below") != nil || p.Check(name+"x") == nil {
			t.Fatalf("pattern of %q", name)
		}
	})
}

func TestPolicyOfLinks(t *testing.T) {
	d := t.TempDir()
	secret := write(t, filepath.Join(d, "secret", "file"), "x")
	open := write(t, filepath.Join(d, "open", "file"), "y")
	require.NoError(t, os.Symlink("../secret/file", filepath.Join(d, "open", "escape")))
	require.NoError(t, os.Symlink("/proc/version", filepath.Join(d, "open", "kernel")))
	require.NoError(t, os.Symlink("open", filepath.Join(d, "alias")))
	measure := func(f Files, name string) error { _, err := f.Measure(ctx, name, false, pts.SHA256); return err }

	// What counts is where a link leads.
	p, err := NewPolicy([]string{filepath.Join(d, "open")}, nil)
	require.NoError(t, err)
	f := Files{Policy: p}
	require.NoError(t, measure(f, open))
	require.NoError(t, measure(f, filepath.Join(d, "alias", "file")), "leads to where it may be read")
	require.ErrorIs(t, measure(f, secret), ErrRefused)
	require.ErrorIs(t, measure(f, filepath.Join(d, "open", "escape")), ErrRefused)
	require.ErrorIs(t, measure(f, filepath.Join(d, "open", "..", "secret", "file")), ErrRefused)
	require.ErrorIs(t, measure(Files{}, filepath.Join(d, "open", "kernel")), ErrRefused)
	require.ErrorIs(t, measure(f, "/etc/passwd"), pts.ErrInvalidPath, "answered with Invalid Path")

	// A pattern through a link holds for what it leads to, and what is denied
	// is so under the name that it is asked for too.
	p, err = NewPolicy([]string{filepath.Join(d, "alias", "fil?")}, nil)
	require.NoError(t, err)
	require.NoError(t, measure(Files{Policy: p}, open))
	p, err = NewPolicy(nil, []string{filepath.Join(d, "alias")})
	require.NoError(t, err)
	require.ErrorIs(t, measure(Files{Policy: p}, filepath.Join(d, "alias", "file")), ErrRefused)
	require.ErrorIs(t, measure(Files{Policy: p}, open), ErrRefused)

	// In a directory they are left out and logged, from metadata as well.
	var out strings.Builder
	f = Files{Logger: log.NewWriter(&out, slog.LevelInfo)}
	f.Policy, err = NewPolicy(nil, []string{filepath.Join(d, "secret")})
	require.NoError(t, err)
	got, err := f.Measure(ctx, filepath.Join(d, "open"), true, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "file", got[0].Name)
	require.Contains(t, out.String(), "open/escape' is not measured: refused by the settings: measure_deny "+filepath.Join(d, "secret"))
	require.Contains(t, out.String(), "open/kernel' is not measured: refused by the settings: measure_allow does not name /proc")
	meta, err := f.Metadata(ctx, filepath.Join(d, "open"), true)
	require.NoError(t, err)
	require.Len(t, meta, 1)
	links, err := f.Symlinks(ctx, d)
	require.NoError(t, err)
	require.Len(t, links, 1)
	_, err = f.Symlinks(ctx, filepath.Join(d, "secret"))
	require.ErrorIs(t, err, ErrRefused)
}

// TestKernelFilesElsewhere: /proc counts as /proc wherever it is mounted.
func TestKernelFilesElsewhere(t *testing.T) {
	n, err := lookup("/proc/version")
	if err != nil {
		t.Skip("SKIP needs /proc")
	}
	defer n.close()
	n.path = "/srv/container/proc/version"
	r := &request{devices: map[uint64]string{}}
	require.ErrorIs(t, r.permits(n), ErrRefused)
	r.policy, err = NewPolicy([]string{"/", "/proc"}, nil)
	require.NoError(t, err)
	require.NoError(t, r.permits(n))

	// When it is allowed, a file of /proc is read to its end.
	got, err := Files{Policy: r.policy}.Measure(ctx, "/proc/version", false, pts.SHA256)
	require.NoError(t, err)
	require.Len(t, got[0].Measurement, 32)
}

type mapSettings map[string]string

func (m mapSettings) String(key, def string) string {
	if v, ok := m[key]; ok {
		return v
	}
	return def
}
func (m mapSettings) Bool(_ string, def bool) bool { return def }

func TestFilesFromSettings(t *testing.T) {
	var out strings.Builder
	logger := log.NewWriter(&out, slog.LevelInfo)
	const s = "plugins.imc-attestation.measure_"
	f := FilesFromSettings(mapSettings{s + "allow": "/etc, /usr/*", s + "deny": "/etc/ssl\t/etc/ssh", s + "max_files": "7", s + "max_bytes": "5000000000", s + "max_seconds": "3"}, logger)
	require.Equal(t, Limits{MaxFiles: 7, MaxBytes: 5_000_000_000, Timeout: 3e9}, f.Limits)
	require.NoError(t, f.Policy.Check("/usr/bin/x"))
	require.ErrorIs(t, f.Policy.Check("/etc/ssh/x"), ErrRefused)
	require.ErrorIs(t, f.Policy.Check("/home"), ErrRefused)
	require.Empty(t, out.String())

	f = FilesFromSettings(mapSettings{s + "deny": "etc", s + "max_files": "many", s + "max_bytes": "-1"}, logger)
	require.Equal(t, Limits{MaxFiles: DefaultMaxFiles, MaxBytes: DefaultMaxBytes, Timeout: DefaultTimeout}, f.withDefaults())
	require.ErrorIs(t, f.Policy.Check("/usr"), ErrRefused)
	for _, want := range []string{
		"[CFG] imc-attestation.measure_max_files = 'many' is no number from 1 to",
		"[CFG] imc-attestation.measure_max_bytes = '-1' is no number",
		`[CFG] imc-attestation.measure_deny: pattern "etc" is not an absolute path`,
		"[CFG] imc-attestation: no file is measured until",
	} {
		require.Contains(t, out.String(), want)
	}
	require.NoError(t, FilesFromSettings(mapSettings{}, nil).Policy.Check("/usr"))
}

func FuzzPolicy(f *testing.F) {
	f.Add("/a/**/b*[c-d]/**", "/a/x/bc/y")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := parsePattern(pattern)
		if err != nil || len(name) > 4096 {
			return
		}
		if p.matches(name) && len(p.segments) > 0 && !p.matches(name+"/x") {
			t.Fatalf("%q covers %q but not what is below", pattern, name)
		}
	})
}
