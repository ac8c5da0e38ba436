package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// xfrmTests are those of internal/interop/charon that send packets through a
// tunnel, and let the connection live and die.
const xfrmTests = "^(TestTunnelCarriesAPing|TestRekeyingLosesNoPacket|TestGatewayRekeys|TestAddressChange|TestNAT|TestReauthentication|TestStatusAndDown|TestKilledAtAnyMoment|TestESPAlgorithms|TestTrap)$"

// programs that those tests and charon run.
var programs = []string{"/bin/sh", "/bin/mount", "/bin/sleep", "/bin/cat", "/usr/bin/env", "/usr/bin/unshare", "/usr/sbin/ip", "/usr/bin/ping", "/usr/sbin/nft",
	"/usr/lib/ipsec/charon", "/usr/sbin/swanctl"}

// program adds a program with its libraries, where the links to it lead.
func (a *archive) program(t *testing.T, path string) {
	t.Helper()
	a.file(t, path, path)
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return // static
	}
	for _, m := range library.FindAllSubmatch(out, -1) {
		a.file(t, string(m[1]), string(m[1]))
	}
}

// xfrmRoot is an initial RAM disk with the tests of internal/interop/charon,
// Debian's charon and the kernel's modules for ESP.
func xfrmRoot(t *testing.T, vmlinuz string) string {
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
	a.file(t, "/init", build("guest", "build", "./internal/interop/vm/guestxfrm"))
	for name, path := range map[string]string{"/bin/charon.test": build("charon.test", "test", "-c", "./internal/interop/charon"), "/bin/tnc": build("tnc", "build", "./cmd/tnc")} {
		a.file(t, name, path)
		ldd, err := exec.Command("ldd", path).Output()
		require.NoError(t, err)
		for _, m := range library.FindAllSubmatch(ldd, -1) {
			a.file(t, string(m[1]), string(m[1]))
		}
	}
	for _, p := range programs {
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
	gcc, err := filepath.Glob("/lib/*/libgcc_s.so.1")
	require.NoError(t, err)
	for _, p := range gcc {
		a.file(t, p, p)
	}
	plugins, err := filepath.Glob("/usr/lib/ipsec/plugins/*.so")
	require.NoError(t, err)
	for _, p := range plugins {
		a.program(t, p)
	}
	a.modules(t, vmlinuz, "esp4", "esp6", "xfrm_user", "xfrm_interface", "xfrm4_tunnel", "veth", "tun",
		"sha512_generic", "drbg", "crypto_null", "gcm", "ghash_clmulni_intel", "ghash_generic", "seqiv", "echainiv", "authenc", "authencesn", "ccm", "cmac", "xcbc", "ctr", "chacha20poly1305", "chacha_generic", "poly1305_generic",
		"nf_tables", "nft_chain_nat", "nft_nat", "nft_compat", "nf_nat", "nf_conntrack")
	a.add("/tests", 0o644, []byte(xfrmTests))
	a.add("/etc/os-release", 0o644, []byte("ID=debian\n"))
	a.add("TRAILER!!!", 0, nil)
	out := filepath.Join(dir, "initramfs")
	require.NoError(t, os.WriteFile(out, a.Bytes(), 0o600))
	return out
}

// said is what the guest printed while a test ran.
func said(out, name string) string {
	start, end := strings.Index(out, "=== RUN   "+name), strings.Index(out, "--- FAIL: "+name)
	if start < 0 || end < start {
		return "it printed nothing"
	}
	return out[start:end]
}

var result = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+)`)

// ESP in a real kernel on both ends: traffic, rekeying, addresses that change,
// NAT, a peer that dies, a client that is killed.
func TestXFRMOnARealKernel(t *testing.T) {
	if os.Getenv("GOTNC_VMTEST") == "" {
		t.Skip("SKIP needs a virtual machine: run `make vmtest`")
	}
	need.Program(t, "qemu-system-x86_64", "qemu-system-x86")
	need.Program(t, "swtpm", "swtpm")
	need.Program(t, "/usr/lib/ipsec/charon", "strongswan-charon")
	need.Program(t, "nft", "nftables")
	vmlinuz := kernel(t)
	root := xfrmRoot(t, vmlinuz)
	start := time.Now()
	out, accel := boot(t, vmlinuz, root, []string{"--tpm2"})
	t.Logf("%s in %v:\n%s", accel, time.Since(start).Round(time.Second), out)
	passed := 0
	for _, m := range result.FindAllStringSubmatch(out, -1) {
		require.Equal(t, "PASS", m[1], "%s:\n%s", m[2], said(out, m[2]))
		if !strings.Contains(m[2], "/") {
			passed++
		}
	}
	require.Equal(t, strings.Count(xfrmTests, "|")+1, passed)
	require.Contains(t, out, "VM PASS")
}
