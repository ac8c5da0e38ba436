package hostapd

import (
	"context"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	eapmd5 "github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/interop/output"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

func TestMain(m *testing.M) {
	dlimc.ChildMain()
	os.Exit(m.Run())
}

const (
	secret   = "testing123"
	identity = "carol@gotnc.test"
	password = "Ar3etTnp"
)

// server is a hostapd; of start, with the C IMV of ../eapol that asks for one file.
type server struct {
	port  int
	ca    *testpki.CA
	roots *x509.CertPool
	imv   string // its log
	imc   string
	log   *output.Buffer
}

func start(t *testing.T, hash string) *server {
	t.Helper()
	need.Root(t)
	need.Program(t, "cc", "gcc")
	if out, err := exec.Command("unshare", "-m", "mount", "--bind", "/tmp", "/tmp").CombinedOutput(); err != nil {
		t.Skipf("SKIP needs the right to mount in a mount namespace (CAP_SYS_ADMIN): %s", strings.TrimSpace(string(out)))
	}
	dir := t.TempDir()
	path := func(n string) string { return filepath.Join(dir, n) }
	write := func(n, format string, a ...any) {
		require.NoError(t, os.WriteFile(path(n), fmt.Appendf(nil, format, a...), 0o600))
	}
	run := func(name string, args ...string) {
		out, err := exec.Command(name, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	exports, err := filepath.Abs("../../../capi/attestation/exports.map")
	require.NoError(t, err)
	run("go", "build", "-buildmode=c-shared", "-ldflags", "-s -w -extldflags=-Wl,--version-script="+exports, "-o", path("imc-attestation.so"), "../../../capi/attestation")
	run("cc", "-shared", "-fPIC", "-I../../../include", "-o", path("imv.so"), "../eapol/testdata/imv.c")
	write("measured.txt", "hello\n")
	// hostapd reads /etc/tnc_config: it sees a copy of /etc with ours.
	run("cp", "-a", "/etc", path("etc"))
	write("etc/tnc_config", "IMV \"Test\" %s\n", path("imv.so"))
	s := launch(t, launchOptions{
		users: fmt.Sprintf("* TTLS\n%q MD5 %q [2]\n", identity, password), conf: "tnc=1\n",
		before: []string{"unshare", "-m", "sh", "-c", `mount --bind "$1" /etc && shift && exec "$@"`, "sh", path("etc")},
		env:    []string{"IMV_FILE=" + path("measured.txt"), "IMV_HASH=" + hash, "IMV_LOG=" + path("imv.log")},
	})
	s.imv, s.imc = path("imv.log"), path("imc-attestation.so")
	return s
}

// launchOptions are what a hostapd is started with.
type launchOptions struct {
	users  string   // eap_user_file
	conf   string   // further lines of hostapd.conf
	before []string // command and arguments that hostapd follows
	env    []string
}

// launch starts a hostapd as RADIUS server that ends with the test.
func launch(t *testing.T, o launchOptions) *server {
	t.Helper()
	program := need.Program(t, "hostapd", "hostapd")
	dir := t.TempDir()
	path := func(n string) string { return filepath.Join(dir, n) }
	write := func(n, text string) {
		require.NoError(t, os.WriteFile(path(n), []byte(text), 0o600))
	}
	ca, err := testpki.NewCA("gotnc hostapd test", testpki.RSA)
	require.NoError(t, err)
	cert, err := ca.Issue("radius.gotnc.test", testpki.RSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(cert, path("server.pem"), path("server.key")))
	write("ca.pem", string(ca.PEM()))
	write("users", o.users)
	write("clients", "127.0.0.1/32 "+secret+"\n")
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{port: c.LocalAddr().(*net.UDPAddr).Port, ca: ca, roots: x509.NewCertPool(), log: new(output.Buffer)}
	c.Close()
	s.roots.AddCert(ca.Cert)
	write("hostapd.conf", fmt.Sprintf("driver=none\ninterface=lo\neap_server=1\neap_user_file=%s\nca_cert=%s\nserver_cert=%s\nprivate_key=%s\nradius_server_clients=%s\nradius_server_auth_port=%d\n%s",
		path("users"), path("ca.pem"), path("server.pem"), path("server.key"), path("clients"), s.port, o.conf))
	ctx, cancel := context.WithCancel(context.Background())
	args := append(slices.Clone(o.before), program, "-dd", path("hostapd.conf"))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), o.env...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			text := s.log.String()
			t.Logf("hostapd:\n%s", text[max(0, len(text)-20000):])
		}
	})
	require.Eventually(t, func() bool { return strings.Contains(s.log.String(), "AP-ENABLED") }, 15*time.Second, 20*time.Millisecond, "hostapd started")
	return s
}

// attest runs one authentication and returns the TNC outcome and the server's
// verdict.
func (s *server) attest(t *testing.T, fragmentSize int) (tnccs.Outcome, byte) {
	t.Helper()
	text := new(output.Buffer)
	lg := log.NewWriter(text, slog.LevelInfo)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ours:\n%s", text)
		}
	})
	client, err := tnccs.NewClient(tnccs.Config{Protocol: tnccs.ProtocolXML, Logger: lg})
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, dlimc.Add(client, dlimc.Entry{Name: "Attestation", Path: s.imc}, dlimc.Config{Logger: lg}))
	sess := client.NewSession()
	tc := tnc.Config{Session: sess, FragmentSize: fragmentSize, Logger: lg}
	methods := []eap.Offer{eapmd5.Offer([]byte(password)), tnc.OfferPT(tc), tnc.OfferTNC(tc)}
	peer := eap.NewPeer(eap.Config{Identity: "anonymous", Logger: lg, Methods: []eap.Offer{ttls.Offer(ttls.Config{
		TLS:          eap.TLSConfig{Roots: s.roots, ServerName: "radius.gotnc.test", MaxVersion: 0x0303},
		Inner:        eap.Config{Identity: identity, Methods: methods, Logger: lg},
		FragmentSize: 1400,
		Logger:       lg,
	})}})
	defer peer.Close()
	code, _ := s.converse(t, "anonymous", peer)
	return sess.Outcome(), code
}

// converse carries the packets of the peer of that identity to the server, and
// returns its verdict with what the peer says to it.
func (s *server) converse(t *testing.T, identity string, peer *eap.Peer) (byte, error) {
	t.Helper()
	r, err := dial(s.port, secret, identity)
	require.NoError(t, err)
	defer r.conn.Close()
	packet, err := peer.IdentityResponse()
	require.NoError(t, err)
	for range 200 {
		a, err := r.exchange(packet)
		require.NoError(t, err)
		var status eap.Status
		packet, status, err = peer.Handle(a.eap)
		switch a.code {
		case accessAccept:
			require.NoError(t, err)
			require.Equal(t, eap.StatusSuccess, status)
			require.True(t, sameKey(peer.MSK(), a.keys), "both ends have the same key")
			return a.code, nil
		case accessReject:
			require.ErrorIs(t, err, eap.ErrFailure)
			return a.code, err
		}
		require.Equal(t, byte(accessChallenge), a.code)
		require.NoError(t, err)
	}
	t.Fatal("authentication without end")
	return 0, nil
}

func sha384(text string) string {
	h := sha512.Sum384([]byte(text))
	return hex.EncodeToString(h[:])
}

func TestAllowed(t *testing.T) {
	s := start(t, sha384("hello\n"))
	for _, size := range []int{0, 300} { // in one packet, and in fragments
		o, code := s.attest(t, size)
		require.Equal(t, byte(accessAccept), code)
		require.NoError(t, o.Err)
		require.Equal(t, tnccs.RecommendAllow, o.Recommendation)
	}
	b, err := os.ReadFile(s.imv)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(b), "measurement "+sha384("hello\n")+"\n"))
}

func TestRefused(t *testing.T) {
	s := start(t, sha384("another file\n"))
	o, code := s.attest(t, 1300)
	require.Equal(t, byte(accessReject), code)
	require.Equal(t, tnccs.RecommendDeny, o.Recommendation)
}
