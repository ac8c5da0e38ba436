package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// library is imc-attestation.so, built for this run.
var library string

func TestMain(m *testing.M) {
	dlimc.ChildMain()
	if os.Getenv(protectEnv) != "" {
		reportProtected()
		return
	}
	dir, err := os.MkdirTemp("", "tnc-test")
	journalSocket = filepath.Join(dir, "journal")               // nor is its journal for tests
	os.Setenv(client.RunDirVariable, filepath.Join(dir, "run")) // what is up on this machine is none of ours
	if err == nil {
		library = filepath.Join(dir, "imc-attestation.so")
		var out []byte
		if out, err = exec.Command("go", "build", "-buildmode=c-shared", "-o", library, "../../capi/attestation").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// runTNC runs the command in this process.
func runTNC(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, args, &o, &e)
	return o.String(), e.String(), code
}

// oneSentence asserts what a failure looks like: one line, ours, last.
func oneSentence(t *testing.T, stderr string, says ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	require.True(t, strings.HasPrefix(last, "tnc: "), "the last line is ours: %q", stderr)
	for _, l := range lines[:len(lines)-1] {
		require.False(t, strings.HasPrefix(l, "tnc: ") && !strings.HasPrefix(l, "tnc: warning: "), "one sentence only: %q", stderr)
	}
	for _, s := range says {
		require.Contains(t, last, s)
	}
	require.NotContains(t, last, "panic")
}

// noChildren asserts that no child process is left.
func noChildren(t *testing.T) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for _, f := range tasks {
			if b, err := os.ReadFile(f); err == nil && len(bytes.TrimSpace(b)) > 0 {
				return false
			}
		}
		return true
	}, 5*time.Second, 20*time.Millisecond, "a child process was left behind")
}

const (
	testGateway  = "moon.gotnc.test"
	testUser     = "carol@gotnc.test"
	testPassword = "Ar3etTnp"
)

// site is a gateway and a client's configuration.
type site struct {
	t    *testing.T
	dir  string
	args []string
	gw   *gateway.Gateway
	addr netip.AddrPort
}

// newSite starts a gateway; change may alter it, or the files afterwards.
func newSite(t *testing.T, change func(*gateway.Config, *testpki.CA)) *site {
	t.Helper()
	ca, err := testpki.NewCA("gotnc test CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(testGateway, testpki.ECDSA, nil)
	require.NoError(t, err)
	cfg := gateway.Config{Identity: testGateway, Certificate: cert, Users: map[string]string{testUser: testPassword}}
	if change != nil {
		change(&cfg, ca)
	}
	gw, err := gateway.Listen(cfg)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- gw.Serve(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, gw.Close())
		require.NoError(t, <-served)
		noChildren(t)
	})
	s := &site{t: t, dir: t.TempDir(), gw: gw, addr: gw.Addr()}
	s.write("x509ca/ca.pem", string(ca.PEM()))
	s.write("tnc_config", "IMC \"Attestation\" "+library+"\n")
	s.write("strongswan.conf", "charon {\n  port = 0\n  port_nat_t = 0\n  retransmit_timeout = 0.3\n  retransmit_tries = 1\n}\n")
	s.write("swanctl.conf", s.swanctl())
	s.args = []string{"--swanctl", s.path("swanctl.conf"), "--strongswan-conf", s.path("strongswan.conf"), "--tnc-config", s.path("tnc_config")}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, content string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

func (s *site) replace(name, old, new string) {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	require.NoError(s.t, err)
	require.Contains(s.t, string(b), old)
	s.write(name, strings.ReplaceAll(string(b), old, new))
}

func (s *site) swanctl() string {
	return fmt.Sprintf(`connections {
  home {
    remote_addrs = %s
    remote_port = %d
    local {
      auth = eap-ttls
      id = %s
    }
    remote {
      auth = eap-ttls
      id = %s
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
      }
    }
    version = 2
  }
}
secrets {
  eap {
    id = %[3]s
    secret = "%[5]s"
  }
}
`, s.addr.Addr(), s.addr.Port(), testUser, testGateway, testPassword)
}

// attest runs tnc attest home with this site's files.
func (s *site) attest(more ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	return runTNC(s.t, append(append([]string{"attest", "home"}, s.args...), more...)...)
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"attack"}, {"attest"}, {"attest", "a", "b"}, {"attest", "home", "--dataplane", "magic"}, {"up", "home", "--no-such-flag"}, {"demo", "now"},
		{"status", "a", "b"}, {"config"}, {"config", "chek"}, {"config", "check", "x"}, {"imc"}, {"aik", "x"}, {"help", "attack"}, {"help", "config", "chek"}} {
		_, stderr, code := runTNC(t, args...)
		require.Equal(t, report.ExitUsage, code, "%q", args)
		require.NotContains(t, stderr, "arg(s)")
	}
	_, stderr, _ := runTNC(t, "config", "check", "x")
	require.Contains(t, stderr, "tnc config check takes no argument")
	for _, args := range [][]string{{"config", "check", "--help"}, {"help", "config", "check"}} {
		out, _, code := runTNC(t, args...)
		require.Zero(t, code)
		require.Contains(t, out, "/etc/swanctl/swanctl.conf)")
		require.Contains(t, out, "--help")
	}
	for _, cmd := range []string{"attest", "up", "demo"} {
		out, _, code := runTNC(t, cmd, "--help")
		require.Zero(t, code)
		require.Contains(t, out, "Exit codes:")
		require.Contains(t, out, "Examples:")
	}
	out, _, code := runTNC(t, "version")
	require.Zero(t, code)
	flag, _, code := runTNC(t, "--version")
	require.Zero(t, code)
	require.Equal(t, out, flag)
	require.True(t, strings.HasPrefix(out, "tnc "), out)
}

// The demo prints what was asked and the decision, and with -v shows the seed's run on
// standard error, in its order.
func TestDemo(t *testing.T) {
	start := time.Now()
	out, stderr, code := runTNC(t, "demo", "-v", "--library", library)
	require.Zero(t, code, "%s%s", out, stderr)
	for _, c := range []struct {
		text  string
		lines []string
	}{
		{stderr, []string{
			"[TNC] loading IMCs from",
			"[IMC] IMC 1 \"Attestation\" initialized",
			"[PTS]   mandatory PTS measurement algorithm HASH_SHA1[go] available",
			"[TNC] IMC 1 \"Attestation\" loaded from",
			"[IKE] initiating IKE_SA home[1] to 127.0.0.1",
			"[ENC] generating IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP)",
			"[ENC] parsed IKE_SA_INIT response 0 [",
			"[IKE] establishing CHILD_SA home",
			"[ENC] generating IKE_AUTH request 1 [ IDi N(INIT_CONTACT)",
			"[IKE] server requested EAP_TTLS authentication",
			"[TLS] EAP_TTLS version is v0",
			"[TLS] negotiated TLS 1.3",
			"[IKE] server requested EAP_MD5 authentication",
			"[IKE] server requested EAP_PT_EAP authentication",
			"[TNC] assigned TNCCS Connection ID 1",
			"[IMC] IMC 1 \"Attestation\" created a state for IF-TNCCS 2.0 Connection ID 1: +long +excl -soh",
			"[IMC] IMC 1 \"Attestation\" changed state of Connection ID 1 to 'Handshake'",
			"[TNC] creating PB-TNC CDATA batch",
			"[PTS] supported PTS protocol capabilities:",
			"[PTS] selected PTS measurement algorithm is HASH_SHA2_256",
			"[TNC] PB-TNC access recommendation is 'Access Allowed'",
			"[TNC] creating PB-TNC CLOSE batch",
			"[IKE] CHILD_SA home{1} established",
		}},
		{out, []string{
			"What moon.example.org asked and got",
			"site/agent.conf",
			"access allowed",
			"answered",
		}},
	} {
		at := 0
		for _, line := range c.lines {
			i := strings.Index(c.text[at:], line)
			require.GreaterOrEqual(t, i, 0, "%q comes after the lines before it in:\n%s", line, c.text)
			at += i
		}
	}
	require.NotContains(t, out, "[IKE]")
	require.Less(t, time.Since(start), 30*time.Second)

	out, stderr, code = runTNC(t, "demo", "--library", library)
	require.Zero(t, code, "%s%s", out, stderr)
	require.Contains(t, out, "access allowed")
	require.Empty(t, stderr, "quiet without -v")
	noChildren(t)
}

func TestDemoThatFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	out, stderr, code := runTNC(t, "demo", "--fail", "--library", library)
	require.Equal(t, report.ExitIsolated, code, "%s%s", out, stderr)
	require.Contains(t, out, "mismatch")
	require.Contains(t, out, "isolated")
	require.Contains(t, out, "reason")
	require.Contains(t, out, "10.1.0.17 answered")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "tnc-demo-*"))
	require.NoError(t, err)
	require.Empty(t, left, "the demo removes its files")
}

func TestAllowed(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) {
		b, err := os.ReadFile(library)
		require.NoError(t, err)
		sum := sha256.Sum256(b)
		c.Policy.Files = map[string]string{library: hex.EncodeToString(sum[:])}
	})
	out, stderr, code := s.attest("--json")
	require.Zero(t, code, "%s%s", out, stderr)
	var o report.Outcome
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	require.Equal(t, client.Allowed, o.Recommendation)
	require.Equal(t, testGateway, o.GatewayID)
	require.Equal(t, testUser, o.Identity)
	require.Equal(t, []string{"Attestation"}, o.IMCs)
	require.Equal(t, []string{"10.1.0.0/16"}, o.Child.RemoteTS)
	require.Positive(t, o.Exchanges)
	require.Positive(t, o.BytesReceived)
	require.GreaterOrEqual(t, o.Batches, 4)
}

func TestDenied(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) {
		c.Policy.Force, c.Policy.Reason = imv.Deny, "this device is on the list of lost ones"
	})
	out, stderr, code := s.attest("--json")
	require.Equal(t, report.ExitDenied, code, "%s%s", out, stderr)
	var o report.Outcome
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	require.Equal(t, client.Denied, o.Recommendation)
	require.Equal(t, report.ExitDenied, o.ExitCode)
	require.Equal(t, "this device is on the list of lost ones", o.Reasons[0].Text)
	require.Nil(t, o.Child)

	out, _, code = s.attest()
	require.Equal(t, report.ExitDenied, code)
	require.Contains(t, out, "this device is on the list of lost ones")
}

// What a gateway sends cannot drive the user's terminal.
func TestHostileReason(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) {
		c.Policy.Force, c.Policy.Reason = imv.Isolate, "a\x1b[2J\x1b]0;owned\x07b\r\nc"
	})
	out, stderr, code := s.attest()
	require.Equal(t, report.ExitIsolated, code, "%s%s", out, stderr)
	require.NotContains(t, out+stderr, "\x1b")
	require.NotContains(t, out+stderr, "\r")
}

func TestNoAttestationAsked(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Phase2 = []string{gateway.MethodMD5} })
	out, stderr, code := s.attest()
	require.Zero(t, code, "%s%s", out, stderr)
	require.Contains(t, out, "no attestation")
}

// Bad input of every kind: one clear sentence, exit code 1, nothing left.
func TestRefusals(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.so")
	require.NoError(t, os.WriteFile(broken, []byte("this is no library\n"), 0o755))
	for name, c := range map[string]struct {
		gateway func(*gateway.Config, *testpki.CA)
		client  func(*site)
		says    []string
	}{
		"wrong password": {nil,
			func(s *site) { s.replace("swanctl.conf", testPassword, "wrong") }, []string{"password"}},
		"no password": {nil,
			func(s *site) {
				s.replace("swanctl.conf", "id = "+testUser+"\n    secret", "id = dave@gotnc.test\n    secret")
			}, []string{"secrets", testUser}},
		"untrusted gateway": {nil,
			func(s *site) {
				ca, err := testpki.NewCA("another CA", testpki.ECDSA)
				require.NoError(s.t, err)
				s.write("x509ca/ca.pem", string(ca.PEM()))
			}, []string{"certificate", "CA"}},
		"no CA": {nil,
			func(s *site) { require.NoError(s.t, os.Remove(s.path("x509ca/ca.pem"))) }, []string{"CA certificate", "x509ca"}},
		"misnamed certificate": {
			func(c *gateway.Config, ca *testpki.CA) {
				cert, err := ca.Issue("sun.gotnc.test", testpki.ECDSA, nil)
				require.NoError(t, err)
				c.Faults.Certificate = &cert
			}, nil, []string{"sun.gotnc.test", testGateway}},
		"another gateway": {
			func(c *gateway.Config, _ *testpki.CA) { c.Faults.WrongIdentity = "sun.gotnc.test" },
			nil, []string{"sun.gotnc.test", testGateway}},
		"gateway is silent": {func(c *gateway.Config, _ *testpki.CA) { c.Faults.Silent = true }, nil, []string{"no answer", "127.0.0.1"}},
		"gateway is gone": {nil, func(s *site) {
			l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(s.t, err)
			free := l.LocalAddr().(*net.UDPAddr).Port
			require.NoError(s.t, l.Close())
			s.replace("swanctl.conf", fmt.Sprint(s.addr.Port()), fmt.Sprint(free))
		}, []string{"no answer", "127.0.0.1"}},
		"bad AUTH":      {func(c *gateway.Config, _ *testpki.CA) { c.Faults.BadAuth = true }, nil, []string{"gateway"}},
		"early success": {func(c *gateway.Config, _ *testpki.CA) { c.Faults.EarlySuccess = true }, nil, []string{"EAP"}},
		"no proposal":   {func(c *gateway.Config, _ *testpki.CA) { c.Faults.NoProposal = true }, nil, []string{"proposals"}},
		"no child":      {func(c *gateway.Config, _ *testpki.CA) { c.Faults.NoChildProposal = true }, nil, []string{"esp_proposals"}},
		"unknown name":  {nil, func(s *site) { s.replace("swanctl.conf", "home {", "work {") }, []string{"home", "work"}},
		"missing IMC":   {nil, func(s *site) { s.write("tnc_config", "IMC \"A\" /nowhere/imc.so\n") }, []string{"tnc_config:1", "/nowhere/imc.so"}},
		"broken IMC":    {nil, func(s *site) { s.write("tnc_config", "\nIMC \"A\" "+broken+"\n") }, []string{"tnc_config:2", broken}},
		"no IMC at all": {nil, func(s *site) { s.write("tnc_config", "IMC \"A\" "+libc(t)+"\n") }, []string{"tnc_config:1", "TNC_IMC_Initialize"}},
		"no tnc_config": {nil, func(s *site) { require.NoError(s.t, os.Remove(s.path("tnc_config"))) }, []string{"tnc: read tnc_config: open ", "--tnc-config"}},
		"no strongswan.conf": {nil, func(s *site) { require.NoError(s.t, os.Remove(s.path("strongswan.conf"))) },
			[]string{"tnc: read strongswan.conf: open ", "--strongswan-conf"}},
		"bad tnc_config": {nil, func(s *site) { s.write("tnc_config", "# fine\nIMC Attestation /x.so\n") }, []string{"tnc_config:2"}},
		"bad swanctl.conf": {nil,
			func(s *site) { s.replace("swanctl.conf", "  home {\n    remote_addrs", "  home \n    remote_addrs") }, []string{"swanctl.conf:"}},
		"open section":        {nil, func(s *site) { s.write("swanctl.conf", "connections {\n") }, []string{"swanctl.conf:"}},
		"no swanctl.conf":     {nil, func(s *site) { require.NoError(s.t, os.Remove(s.path("swanctl.conf"))) }, []string{"swanctl.conf", "--swanctl"}},
		"bad strongswan.conf": {nil, func(s *site) { s.write("strongswan.conf", "charon {\n  port = 1\n}}\n") }, []string{"strongswan.conf:3"}},
		"bad proposal":        {nil, func(s *site) { s.replace("swanctl.conf", "version = 2", "proposals = aes256-rot13") }, []string{"rot13"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.gateway)
			if c.client != nil {
				c.client(s)
			}
			out, stderr, code := s.attest()
			require.Equal(t, report.ExitFailure, code, "%s%s", out, stderr)
			oneSentence(t, stderr, c.says...)
			last := stderr[strings.LastIndex(stderr, "tnc: "):]
			require.LessOrEqual(t, strings.Count(last, "load IMC"), 1, "said once: %q", last)
			require.LessOrEqual(t, strings.Count(last, "compare proposals"), 1, "said once: %q", last)
			require.LessOrEqual(t, strings.Count(last, "authentication failed"), 1, "said once: %q", last)
			require.NotContains(t, last, "load configuration", "the reader is told which file, not by whom")
			noChildren(t)
		})
	}
}

// libc is a library that is no IMC.
func libc(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("cc", "-print-file-name=libm.so.6").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// An interrupted run ends soon, with everything taken down.
func TestInterrupted(t *testing.T) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.Faults.SilentAfter = 3 })
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { time.Sleep(200 * time.Millisecond); stop() }()
	var o, e bytes.Buffer
	start := time.Now()
	code := run(ctx, append([]string{"attest", "home"}, s.args...), &o, &e)
	require.Equal(t, report.ExitFailure, code)
	require.Less(t, time.Since(start), 10*time.Second)
	oneSentence(t, e.String(), "interrupted")
}
