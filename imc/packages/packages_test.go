package packages

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/need"
)

var ctx = context.Background()

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
}

func installed(t *testing.T, root, system string) []Package {
	t.Helper()
	found, err := Installed(ctx, Config{Root: root, System: system})
	require.NoError(t, err)
	return found
}

func TestDpkg(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "var/lib/dpkg/status"), `Package: zlib1g
Version: 1:1.2.13
Status: install ok installed

Package: bash
Status: install ok installed
Version: 5.2.15-2+b2
Description: shell
 Package: not-this

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install reinstreq half-installed
Version: 2
`)
	require.Equal(t, []Package{{Name: "bash", Version: "5.2.15-2+b2"}, {Name: "zlib1g", Version: "1:1.2.13"}}, installed(t, root, ""))
}

// TestDpkgAsDpkgQuery holds our list of this system against what strongSwan's
// module gets, from its own command.
func TestDpkgAsDpkgQuery(t *testing.T) {
	need.Program(t, "dpkg-query", "dpkg")
	out, err := exec.Command("dpkg-query", "--show", "--showformat=${Status}\t${Package}\t${Version}\n").Output()
	require.NoError(t, err)
	var want []Package
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && f[0] == "install ok installed" {
			want = append(want, Package{Name: f[1], Version: f[2]})
		}
	}
	require.NotEmpty(t, want)
	require.Equal(t, want, installed(t, "/", ""))
}

func TestApk(t *testing.T) {
	const db = `C:Q1vkvEHzzBWRcMBQMmuFTVwLHJB6Y=
P:musl
V:1.2.4-r2
A:x86_64
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1hash

P:alpine-baselayout
V:3.4.3-r2

`
	want := []Package{{Name: "alpine-baselayout", Version: "3.4.3-r2"}, {Name: "musl", Version: "1.2.4-r2"}}
	for _, name := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
		root := t.TempDir()
		write(t, filepath.Join(root, name), db)
		require.Equal(t, want, installed(t, root, ""))
	}
}

func TestOpkg(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/lib/opkg/status"), `Package: libc
Version: 1.2.4-4
Depends: libgcc1
Status: install hold installed
Architecture: mips_24kc

Package: dropbear
Version: 2022.82-6
Status: install user installed

Package: luci
Version: 1
Status: deinstall user not-installed
`)
	require.Equal(t, []Package{{Name: "dropbear", Version: "2022.82-6"}, {Name: "libc", Version: "1.2.4-4"}}, installed(t, root, ""))
}

func TestNoPackages(t *testing.T) {
	_, err := Installed(ctx, Config{Root: t.TempDir()})
	require.ErrorIs(t, err, ErrNoDatabase)
	root := t.TempDir()
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	require.Empty(t, installed(t, root, ""), "a package manager that has installed nothing")
}

func TestPackageLimits(t *testing.T) {
	var b strings.Builder
	for range maxPackages + 10 {
		b.WriteString("P:" + strings.Repeat("n", 300) + "\nV:1\n\n")
	}
	found, err := parseApk(ctx, strings.NewReader(b.String()))
	require.NoError(t, err)
	require.Len(t, found, maxPackages)
	require.Len(t, found[0].Name, 255)
	encodes(t, found)
	_, err = parseApk(ctx, strings.NewReader("P:"+strings.Repeat("x", maxLine+1)))
	require.Error(t, err)
}

// encodes fails where the PA-TNC attribute cannot carry the packages.
func encodes(t *testing.T, all []Package) {
	var v patnc.InstalledPackages
	for _, p := range all {
		v.Packages = append(v.Packages, patnc.Package(p))
	}
	if _, err := v.AppendValue(nil); err != nil {
		t.Fatal(err)
	}
}

func FuzzPackageText(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\nP:b\nV:2\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(context.Context, io.Reader) ([]Package, error){parseDpkg, parseOpkg, parseApk} {
			if found, err := parse(ctx, strings.NewReader(s)); err == nil {
				encodes(t, found)
			}
		}
	})
}
