// Package packages tests what `make install`, `make deb` and `make rpm` put on a
// machine, with Debian's tools.
package packages

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

const repository = "../../.."

// files lists the regular files and links below a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, "/"+name)
		return err
	}))
	return names
}

// built is a folder of what `make all` would have built.
func built(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, n := range names {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte(n), 0o755))
	}
	return dir
}

func runMake(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(need.Program(t, "make", "make"), append([]string{"-s", "-C", repository}, args...)...).CombinedOutput()
	return string(out), err
}

// Every file goes where the variables say, and uninstall removes every one.
func TestInstallAndUninstall(t *testing.T) {
	build := built(t, "tnc", "imc-attestation.so", "imc-attestation-stub.so", "libtnccs.so", "man/tnc.1", "man/tnc-up.1", "man/tnccs.h.3", "man/tnc_config.5",
		"completions/bash", "completions/zsh", "completions/fish", "THIRD-PARTY-NOTICES")
	root := t.TempDir()
	args := []string{"BUILD=" + build, "DESTDIR=" + root, "PREFIX=/opt/gotnc", "LIBDIR=/opt/gotnc/lib64", "VERSION=v1.2.3-4-gabcdef0"}
	out, err := runMake(t, append(args, "install")...)
	require.NoError(t, err, out)
	got := files(t, root)
	for _, want := range []string{
		"bin/tnc", "lib64/gotnc/imc-attestation.so", "lib64/gotnc/imc-attestation-stub.so", "lib64/libtnccs.so.1", "lib64/libtnccs.so", "include/tnccs.h", "lib64/pkgconfig/libtnccs.pc",
		"lib/systemd/system/tnc@.service", "share/polkit-1/rules.d/tnc.rules", "share/man/man1/tnc-up.1", "share/man/man3/tnccs.h.3", "share/man/man5/tnc_config.5",
		"share/bash-completion/completions/tnc", "share/zsh/site-functions/_tnc", "share/fish/vendor_completions.d/tnc.fish",
		"share/doc/gotnc/README.md", "share/doc/gotnc/docs/settings.md", "share/doc/gotnc/tnc_config.example", "share/doc/gotnc/apparmor/charon", "share/doc/gotnc/THIRD-PARTY-NOTICES",
	} {
		require.Contains(t, got, "/opt/gotnc/"+want)
	}
	pc, err := os.ReadFile(filepath.Join(root, "opt/gotnc/lib64/pkgconfig/libtnccs.pc"))
	require.NoError(t, err)
	require.Contains(t, string(pc), "libdir=/opt/gotnc/lib64\nincludedir=/opt/gotnc/include\n")
	require.Contains(t, string(pc), "\nVersion: 1.2.3\n", "pkg-config compares numbers")

	other := filepath.Join(root, "opt/gotnc/bin/other")
	require.NoError(t, os.WriteFile(other, nil, 0o755))
	out, err = runMake(t, append(args, "uninstall")...)
	require.NoError(t, err, out)
	require.Equal(t, []string{"/opt/gotnc/bin/other"}, files(t, root))
}

// What is missing is named before anything is copied; nothing is built.
func TestInstallBuildsNothing(t *testing.T) {
	root := t.TempDir()
	out, err := runMake(t, "install", "BUILD="+built(t, "tnc"), "DESTDIR="+root, "GO=/nonexistent/go", "VERSION=unknown")
	require.Error(t, err)
	require.Contains(t, out, "imc-attestation.so is not built: run `make` first")
	require.Empty(t, files(t, root))
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

// The links of installed documents lead to installed files.
func TestLinksOfDocuments(t *testing.T) {
	root := t.TempDir()
	out, err := runMake(t, "install", "BUILD="+built(t, "tnc", "imc-attestation.so", "imc-attestation-stub.so", "libtnccs.so"), "DESTDIR="+root, "PREFIX=/usr", "VERSION=1.0")
	require.NoError(t, err, out)
	doc := filepath.Join(root, "usr/share/doc/gotnc")
	checked := 0
	for _, f := range files(t, doc) {
		if filepath.Ext(f) != ".md" {
			continue
		}
		b, err := os.ReadFile(doc + f)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			_, err := os.Stat(filepath.Join(doc, filepath.Dir(f), m[1]))
			require.NoError(t, err, "%s links to %s", f, m[1])
			checked++
		}
	}
	require.Greater(t, checked, 10)
}
