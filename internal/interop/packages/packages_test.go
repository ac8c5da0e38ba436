package packages

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

const version = "v0.1.0-7-gabcdef0"

// run runs a command to its end.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "DPKG_FORCE=unsafe-io", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", strings.Join(args, " "), out)
	return string(out)
}

// sources unpacks `make dist` into a folder of its own.
func sources(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run(t, dir, "tar", "-xzf", archive)
	return filepath.Join(dir, strings.TrimSuffix(filepath.Base(archive), ".tar.gz"))
}

func sums(t *testing.T, dir string, patterns ...string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(dir, p))
		require.NoError(t, err)
		require.NotEmpty(t, found, p)
		for _, f := range found {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			got[filepath.Base(f)] = fmt.Sprintf("%x", sha256.Sum256(b))
		}
	}
	return got
}

// The archive of the sources builds without git, in two folders to the same octets;
// lintian finds no error; the packages install into a clean Debian, where demo,
// manual, completion, doctor and the libraries work, and leave nothing when they are
// removed. It takes several minutes and Debian's archive: `make packagetest`.
func TestPackages(t *testing.T) {
	if os.Getenv("GOTNC_PACKAGETEST") == "" {
		t.Skip("SKIP takes minutes: run `make packagetest`")
	}
	need.Root(t)
	for program, pkg := range map[string]string{"debootstrap": "debootstrap", "lintian": "lintian", "rpm": "rpm", "dpkg-deb": "dpkg"} {
		need.Program(t, program, pkg)
	}
	out := t.TempDir()
	absolute, err := filepath.Abs(repository)
	require.NoError(t, err)
	archive := filepath.Join(out, "gotnc-"+strings.TrimPrefix(version, "v")+".tar.gz")
	run(t, absolute, "dist/archive.sh", version, out)
	one, two := sources(t, archive), sources(t, archive)
	const epoch = "SOURCE_DATE_EPOCH=1767225600"
	for _, dir := range []string{one, two} {
		run(t, dir, "env", epoch, "make", "deb")
	}
	products := []string{"build/tnc", "build/*.so", "build/packages/*.deb"}
	require.Equal(t, sums(t, one, products...), sums(t, two, products...), "the same octets from two folders")

	debs, err := filepath.Glob(filepath.Join(one, "build/packages/*.deb"))
	require.NoError(t, err)
	require.Len(t, debs, 3)
	run(t, out, append([]string{"lintian", "--allow-root", "--fail-on", "error"}, debs...)...)
	t.Run("in a clean Debian", func(t *testing.T) { inDebian(t, debs) })
	t.Run("rpm", func(t *testing.T) {
		run(t, one, "env", epoch, "make", "rpm")
		rpms, err := filepath.Glob(filepath.Join(one, "build/packages/*.rpm"))
		require.NoError(t, err)
		require.Len(t, rpms, 3)
		root := t.TempDir()
		run(t, out, append([]string{"rpm", "--root", root, "-i", "--nodeps", "--noscripts"}, rpms...)...)
		require.FileExists(t, filepath.Join(root, "usr/lib64/libtnccs.so.1"))
		require.FileExists(t, filepath.Join(root, "usr/bin/tnc"))
		run(t, out, "rpm", "--root", root, "-e", "--nodeps", "--noscripts", "gotnc", "libtnccs1", "libtnccs-devel")
		require.NoFileExists(t, filepath.Join(root, "usr/bin/tnc"))
	})
}

func inDebian(t *testing.T, debs []string) {
	root := filepath.Join(t.TempDir(), "root")
	run(t, "/", "debootstrap", "--variant=minbase", "--include=man-db,bash-completion,gcc,libc6-dev,pkg-config,iproute2,hostapd,eapoltest", "bookworm", root, mirror(t))
	before := files(t, root)
	for _, d := range debs {
		run(t, "/", "cp", d, filepath.Join(root, "tmp"))
	}
	eapol := eapolTest(t, root)
	// A mount namespace in the root needs a root that is a mount point.
	run(t, "/", "mount", "--bind", root, root)
	t.Cleanup(func() { _ = exec.Command("umount", "-R", "-l", root).Run() })
	for _, m := range []string{"proc", "dev", "sys"} {
		run(t, "/", "mount", "--rbind", "/"+m, filepath.Join(root, m))
		t.Cleanup(func() { _ = exec.Command("umount", "-R", "-l", filepath.Join(root, m)).Run() })
	}
	in := func(script string) string { return run(t, "/", "chroot", root, "bash", "-ec", script) }
	in("dpkg -i /tmp/*.deb; rm /tmp/*.deb")

	require.Contains(t, in("tnc demo"), "allow")
	require.Contains(t, in("man -P cat tnc-up"), "SYNOPSIS")
	require.Contains(t, in("man -P cat 5 tnc_config"), "wpa_supplicant")
	require.Contains(t, in("man -P cat 3 tnccs.h"), "THREADS")
	require.Contains(t, in(`. /usr/share/bash-completion/bash_completion; _completion_loader tnc || [ $? = 124 ]; complete -p tnc`), "tnc")
	require.Contains(t, in("tnc doctor || true"), "TUN")
	require.Contains(t, in("tnc imc list --tnc-config /usr/share/doc/gotnc/tnc_config.example"), "Attestation")
	in(`cc -Wall -Werror -o /tmp/client /usr/share/doc/gotnc/capi/tnccs/example/client.c $(pkg-config --cflags --libs libtnccs); ldd /tmp/client | grep -q libtnccs.so.1; rm /tmp/client`)

	// Both libraries in Debian's eapol_test, which attest to Debian's hostapd.
	for _, library := range []string{"imc-attestation.so", "imc-attestation-stub.so"} {
		out := in(fmt.Sprintf(`cd %s; export GOTNC_IMC_LIBRARY=$(dpkg -L gotnc | grep /%s$); ./eapol.test -test.v -test.run '^TestAllowed$'`, eapol, library))
		require.Contains(t, out, "--- PASS: TestAllowed", out)
	}
	require.Contains(t, in("tnc imc check /usr/share/doc/gotnc/tnc_config.example || true"), "no charon is on this machine")
	in("rm -rf /tmp/src")

	in("dpkg -P gotnc libtnccs-dev libtnccs1")
	var left []string
	have := map[string]bool{}
	for _, f := range before {
		have[f] = true
	}
	for _, f := range files(t, filepath.Join(root, "usr")) {
		if !have["/usr"+f] && (strings.Contains(f, "tnc") || strings.Contains(f, "imc-attestation")) {
			left = append(left, f)
		}
	}
	require.Empty(t, left)
}

// eapolTest puts the test of internal/interop/eapol into a Debian root, with the C that
// it compiles, and returns its folder there.
func eapolTest(t *testing.T, root string) string {
	t.Helper()
	const dir = "/tmp/src/internal/interop/eapol"
	require.NoError(t, os.CopyFS(filepath.Join(root, dir, "testdata"), os.DirFS(filepath.Join(repository, "internal/interop/eapol/testdata"))))
	require.NoError(t, os.CopyFS(filepath.Join(root, "tmp/src/include"), os.DirFS(filepath.Join(repository, "include"))))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "tmp/src/capi/attestation"), 0o755))
	absolute, err := filepath.Abs(repository)
	require.NoError(t, err)
	run(t, absolute, "go", "test", "-c", "-o", filepath.Join(root, dir, "eapol.test"), "./internal/interop/eapol")
	return dir
}

// mirror is where this machine's packages come from.
func mirror(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `apt-get indextargets --format '$(SITE) $(CODENAME)' | awk '$2 == "bookworm" { print $1; exit }'`).Output()
	require.NoError(t, err)
	if s := strings.TrimSpace(string(out)); s != "" {
		return s
	}
	return "http://deb.debian.org/debian"
}
