package eapol

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/output"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

// buildDir holds the IMC and the IMV for all tests of a run.
var buildDir string

// libraryEnv names an installed library, which is tested in place of one that is built.
const libraryEnv = "GOTNC_IMC_LIBRARY"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "eapol")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func built(name string) string { return filepath.Join(buildDir, name) }

// build makes both libraries, once.
var build = sync.OnceValue(func() error {
	script, err := filepath.Abs("../../../capi/attestation/exports.map")
	if err != nil {
		return err
	}
	imv := exec.Command("cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I../../../include", "-o", built("imv.so"), "testdata/imv.c")
	if out, err := imv.CombinedOutput(); err != nil {
		return fmt.Errorf("build imv.so: %w: %s", err, out)
	}
	if os.Getenv(libraryEnv) != "" {
		return nil
	}
	lib := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags", "-s -w -extldflags=-Wl,--version-script="+script,
		"-o", built("imc-attestation.so"), "../../../capi/attestation")
	lib.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := lib.CombinedOutput(); err != nil {
		return fmt.Errorf("build imc-attestation.so: %w: %s", err, out)
	}
	return nil
})

// site is a hostapd that ends with the test, and what eapol_test needs.
type site struct {
	t            *testing.T
	dir          string
	hostapd      string
	eapolTest    string
	port         int
	library, imv string
	measured     string // the file that the verifier asks about
	log          *output.Buffer
}

func newSite(t *testing.T) *site {
	t.Helper()
	need.Root(t)
	s := &site{t: t, dir: t.TempDir(), log: new(output.Buffer)}
	s.hostapd = need.Program(t, "hostapd", "hostapd")
	s.eapolTest = need.Program(t, "eapol_test", "eapoltest")
	need.Program(t, "cc", "gcc")
	need.Program(t, "unshare", "util-linux")
	namespaces(t)

	require.NoError(t, build())
	s.library, s.imv = built("imc-attestation.so"), built("imv.so")
	if file := os.Getenv(libraryEnv); file != "" {
		s.library = file
	}

	ca, err := testpki.NewCA("gotnc eapol test", testpki.RSA)
	require.NoError(t, err)
	s.write("ca.pem", "%s", ca.PEM())
	cert, err := ca.Issue("radius.gotnc.test", testpki.RSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(cert, s.path("server.pem"), s.path("server.key")))

	s.measured = s.path("measured.txt")
	s.write("measured.txt", "hello\n")
	s.write("tnc_config.server", "IMV \"Test\" %s\n", s.imv)
	s.write("tnc_config.client", "IMC \"Attestation\" %s\n", s.library)
	s.write("users", "* TTLS\n\"carol@gotnc.test\" MD5 \"Ar3etTnp\" [2]\n")
	s.write("clients", "127.0.0.1/32 testing123\n")
	s.write("eapol.conf", `fast_reauth=0
network={
 key_mgmt=IEEE8021X
 eap=TTLS
 identity="carol@gotnc.test"
 anonymous_identity="anonymous"
 password="Ar3etTnp"
 ca_cert="%s"
 phase2="autheap=MD5"
}
`, s.path("ca.pem"))
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, format string, args ...any) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.path(name), fmt.Appendf(nil, format, args...), 0o600))
}

// namespaces skips the test where root may not make a mount namespace, as in
// most containers.
func namespaces(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("unshare", "-m", "mount", "--bind", "/tmp", "/tmp").CombinedOutput(); err != nil {
		t.Skipf("SKIP needs the right to mount in a mount namespace (CAP_SYS_ADMIN): %s", strings.TrimSpace(string(out)))
	}
}

// command prepares a program that reads its own /etc/tnc_config: wpa_supplicant
// and hostapd know no other path. It sees a copy of /etc with that file; the
// machine's stays as it is.
func (s *site) command(ctx context.Context, tncConfig string, env []string, args ...string) *exec.Cmd {
	s.t.Helper()
	etc := s.path("etc-" + tncConfig)
	if _, err := os.Stat(etc); err != nil {
		out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput()
		require.NoError(s.t, err, "%s", out)
	}
	b, err := os.ReadFile(s.path(tncConfig))
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(etc, "tnc_config"), b, 0o644))
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c",
		`mount --bind "$1" /etc && shift && exec "$@"`, "sh", etc}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	// End it as a program that is asked to, and not to be left behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start runs hostapd as a RADIUS server whose IMV expects this SHA-384.
func (s *site) start(hash string) {
	s.t.Helper()
	s.port = freePort(s.t)
	s.write("hostapd.conf", `driver=none
interface=lo
eap_server=1
eap_user_file=%s
ca_cert=%s
server_cert=%s
private_key=%s
radius_server_clients=%s
radius_server_auth_port=%d
tnc=1
`, s.path("users"), s.path("ca.pem"), s.path("server.pem"), s.path("server.key"), s.path("clients"), s.port)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := s.command(ctx, "tnc_config.server", []string{"IMV_FILE=" + s.measured, "IMV_HASH=" + hash, "IMV_LOG=" + s.path("imv.log")},
		s.hostapd, "-dd", s.path("hostapd.conf"))
	cmd.Stdout, cmd.Stderr = s.log, s.log
	require.NoError(s.t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	s.t.Cleanup(func() {
		cancel()
		<-done
		if s.t.Failed() {
			s.t.Logf("hostapd:\n%s", tail(s.log.String()))
		}
	})
	require.Eventually(s.t, func() bool { return strings.Contains(s.log.String(), "AP-ENABLED") || ended(done) }, 15*time.Second, 20*time.Millisecond, "hostapd started: %s", s.log)
	require.False(s.t, ended(done), "hostapd ended: %s", s.log)
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// tail keeps what fits a test's output.
func tail(s string) string {
	if len(s) > 20_000 {
		return "…" + s[len(s)-20_000:]
	}
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// connect runs eapol_test once and returns what it printed.
func (s *site) connect(conf string, extra ...string) (out string, ok bool) {
	s.t.Helper()
	s.write("strongswan.conf", "%s", conf)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, "tnc_config.client", []string{"STRONGSWAN_CONF=" + s.path("strongswan.conf")},
		append([]string{s.eapolTest, "-c", s.path("eapol.conf"), "-a", "127.0.0.1", "-p", fmt.Sprint(s.port), "-s", "testing123", "-t", "30"}, extra...)...)
	var errs bytes.Buffer // the IMC's log
	cmd.Stderr = &errs
	b, err := cmd.Output()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("eapol_test:\n%s\nthe IMC:\n%s", tail(string(b)), tail(errs.String()))
		}
	})
	return string(b), err == nil
}

// verifier returns what the IMV wrote.
func (s *site) verifier() string {
	b, _ := os.ReadFile(s.path("imv.log"))
	return string(b)
}

func sha384(text string) string {
	h := sha512.Sum384([]byte(text))
	return hex.EncodeToString(h[:])
}

func TestAllowed(t *testing.T) {
	s := newSite(t)
	s.start(sha384("hello\n"))
	out, ok := s.connect("")
	require.True(t, ok)
	assert.Contains(t, out, "Recommendation = allow")
	assert.True(t, strings.HasSuffix(strings.TrimSpace(out), "SUCCESS"))
	v := s.verifier()
	assert.Contains(t, v, "measurement "+sha384("hello\n")+"\n")
	assert.Contains(t, v, "\nallow")
	// Capabilities and algorithm, then the measurement, a message each.
	assert.Equal(t, 2, strings.Count(v, "pts 01000000"), "%s", v)
}

// imc-attestation-stub.so answers as the library does; wpa_supplicant loads and closes
// it for each authentication.
func TestAllowedWithTheStub(t *testing.T) {
	if os.Getenv(libraryEnv) != "" {
		t.Skip("SKIP another library is tested")
	}
	s := newSite(t)
	dir := t.TempDir()
	out, err := exec.Command("make", "-C", "../../..", "stub", "tnc", "BUILD="+dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.write("tnc_config.client", "IMC \"Attestation\" %s\n", filepath.Join(dir, "imc-attestation-stub.so"))
	s.start(sha384("hello\n"))
	said, ok := s.connect("", "-r", "2")
	require.True(t, ok)
	assert.Contains(t, said, "Recommendation = allow")
	v := s.verifier()
	assert.Equal(t, 3, strings.Count(v, "measurement "+sha384("hello\n")+"\n"), "%s", v)
	assert.Equal(t, 6, strings.Count(v, "pts 01000000"), "%s", v)
}

func TestRefusedWithAnotherHash(t *testing.T) {
	s := newSite(t)
	s.start(sha384("another file\n"))
	out, ok := s.connect("")
	assert.False(t, ok)
	assert.Contains(t, out, "Recommendation = none")
	assert.True(t, strings.HasSuffix(strings.TrimSpace(out), "FAILURE"))
	v := s.verifier()
	assert.Contains(t, v, "measurement "+sha384("hello\n")+"\n", "what is there was measured")
	assert.Contains(t, v, "\ndeny")
}

// wpa_supplicant keeps one message an IMC and batch: the platform's attributes,
// pushed at the beginning, must not cost the measurement.
func TestOperatingSystemIsToldBesideTheMeasurement(t *testing.T) {
	s := newSite(t)
	s.start(sha384("hello\n"))
	out, ok := s.connect("libimcv { os_info { name = Debian\n version = 12.4 } }")
	require.True(t, ok)
	assert.Contains(t, out, "Recommendation = allow")
	assert.Contains(t, s.verifier(), "os-info")
	// Product Information and String Version (RFC 5792 §4.2.2, §4.2.4).
	assert.Contains(t, s.verifier(), "0025720000"+hex.EncodeToString([]byte("Debian")))
	assert.Contains(t, s.verifier(), hex.EncodeToString([]byte("\x0412.4\x00\x00")))
}

func TestMeasuresAgainOnEveryAuthentication(t *testing.T) {
	s := newSite(t)
	s.start(sha384("hello\n"))
	// -r: reauthentications in the same process load and initialise the IMC anew.
	out, ok := s.connect("", "-r", "2")
	require.True(t, ok)
	assert.Equal(t, 3, strings.Count(out, "Recommendation = allow"))
	assert.Equal(t, 3, strings.Count(s.verifier(), "measurement "+sha384("hello\n")))
}
