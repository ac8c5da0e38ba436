package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// image is the machine of tests of another folder of internal/interop.
type image struct {
	folder, run string   // whose tests; which, as -test.run has it
	env         []string // of the tests
	programs    []string // beside those that all tests run
	libraries   []string // opened at run time; patterns
	roots       []string // folders whose files are there as in /
}

// programs that the tests run.
var programs = []string{"/bin/sh", "/bin/mount", "/bin/sleep", "/bin/cat", "/usr/bin/env", "/usr/bin/unshare", "/usr/sbin/ip", "/usr/bin/ping", "/usr/sbin/nft"}

// kernelModules are those for ESP, tunnels and NAT.
var kernelModules = []string{"esp4", "esp6", "xfrm_user", "xfrm_interface", "xfrm4_tunnel", "af_key", "veth", "tun",
	"hmac", "sha512_generic", "jitterentropy_rng", "drbg", "cbc", "crypto_null", "gcm", "ghash_clmulni_intel", "ghash_generic", "seqiv", "echainiv", "authenc", "authencesn", "ccm", "cmac", "xcbc", "ctr", "chacha20poly1305", "chacha_generic", "poly1305_generic",
	"nf_tables", "nft_chain_nat", "nft_nat", "nft_compat", "nf_nat", "nf_conntrack", "iptable_nat", "xt_nat"}

// iptables is the folder of iptables that peers.sh vm unpacked for a kernel that has
// NAT for it only; empty where that is not so.
func iptables(vmlinuz string) []string {
	dir := "../../../build/peers/iptables"
	if !isUML(vmlinuz) || !isFile(filepath.Join(dir, "usr/sbin/xtables-legacy-multi")) {
		return nil
	}
	return []string{dir}
}

// program adds a program with its libraries, where the links to it lead.
func (a *archive) program(t *testing.T, path string) {
	t.Helper()
	a.file(t, path, path)
	a.needs(t, path)
}

// needs adds the libraries of a program.
func (a *archive) needs(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return // static
	}
	for _, m := range library.FindAllSubmatch(out, -1) {
		a.file(t, string(m[1]), string(m[1]))
	}
}

// tree adds the files of a folder as if it were the root, with the permissions that
// they have: iked reads no configuration that others may read. What a link names is
// there in its place.
func (a *archive) tree(t *testing.T, root string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := os.Stat(path)
		if os.IsNotExist(err) { // a link out of the folder
			return nil
		}
		if err != nil || !i.Mode().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		a.add("/"+name, i.Mode(), b)
		if i.Mode()&0o111 != 0 {
			a.needs(t, path)
		}
		return nil
	}))
}

// testRoot is an initial RAM disk that runs tests with the kernel's modules.
func testRoot(t *testing.T, vmlinuz string, i image) string {
	t.Helper()
	dir := t.TempDir()
	build := func(name string, args ...string) string {
		out := filepath.Join(dir, name)
		cmd := exec.Command("go", append(append([]string{args[0]}, "-trimpath", "-ldflags", "-s -w", "-o", out), args[1:]...)...)
		cmd.Dir = "../../.."
		if name == "guest" {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		b, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", b)
		return out
	}
	a := &archive{seen: map[string]bool{}}
	a.file(t, "/init", build("guest", "build", "./internal/interop/vm/guesttests"))
	test := "/bin/" + i.folder + ".test"
	for name, path := range map[string]string{test: build(i.folder+".test", "test", "-c", "./internal/interop/"+i.folder), "/bin/tnc": build("tnc", "build", "./cmd/tnc")} {
		a.file(t, name, path)
		a.needs(t, path)
	}
	for _, p := range append(programs, i.programs...) {
		path, err := filepath.EvalSymlinks(p)
		if err != nil {
			t.Skipf("SKIP needs %s: run `make peers`", p)
		}
		a.program(t, path)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		a.add(p, 0o755, b)
	}
	// What glibc opens when a thread is cancelled.
	for _, pattern := range append([]string{"/lib/*/libgcc_s.so.1"}, i.libraries...) {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, p := range found {
			a.program(t, p)
		}
	}
	for _, root := range append(i.roots, iptables(vmlinuz)...) {
		a.tree(t, root)
	}
	if _, err := os.Stat(modulesOf(vmlinuz)); err == nil || !isUML(vmlinuz) { // one of uml.sh has all of it built in
		a.modules(t, vmlinuz, kernelModules...)
	} else {
		a.add("/modules.order", 0o644, nil)
	}
	env := append([]string{"GOTNC_TNC=/bin/tnc"}, i.env...)
	a.add("/command", 0o644, []byte(strings.Join(append(env, test, "-test.v", "-test.run", i.run), "\n")))
	a.add("/etc/os-release", 0o644, []byte("ID=debian\n"))
	a.add("/etc/passwd", 0o644, []byte("root:x:0:0::/:/bin/sh\n_iked:x:100:100::/var/lib/openiked/empty:/bin/false\n"))
	a.add("/etc/group", 0o644, []byte("root:x:0:\n_iked:x:100:\n"))
	a.add("TRAILER!!!", 0, nil)
	out := filepath.Join(dir, "initramfs")
	require.NoError(t, os.WriteFile(out, a.Bytes(), 0o600))
	return out
}

// Files of a gateway's package keep their permissions.
func TestTreeKeepsPermissions(t *testing.T) {
	root := t.TempDir()
	for name, mode := range map[string]os.FileMode{"secret.conf": 0o600, "public.conf": 0o644, "program": 0o755} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, mode))
		require.NoError(t, os.Chmod(filepath.Join(root, name), mode))
	}
	require.NoError(t, os.Symlink("secret.conf", filepath.Join(root, "link")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	a := &archive{seen: map[string]bool{}}
	a.tree(t, root)
	require.NotContains(t, a.String(), "dangling")
	for name, mode := range map[string]string{"secret.conf": "00008180", "public.conf": "000081a4", "program": "000081ed", "link": "00008180"} {
		header := a.Bytes()[:bytes.Index(a.Bytes(), []byte(name+"\x00"))]
		require.Equal(t, mode, string(header[len(header)-110+14:][:8]), name)
	}
}
