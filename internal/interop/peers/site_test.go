// Package peers runs `tnc` against gateways that are not strongSwan: libreswan
// and OpenIKED, as Debian has them. Their ESP is the kernel's, so these tests run
// in the virtual machine of internal/interop/vm: `make vmtest` boots it and prints
// the table of docs/peers.md.
package peers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/interop/output"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

const (
	gatewayID = "gw.gotnc.test"
	carol     = "carol@gotnc.test"
	secret    = "ThisIsAPSK-ThisIsAPSK-0123456789"
	password  = "Ar3etTnp"
	inside    = "10.1.0.1" // behind the gateway
	inside6   = "fec1::1"
	outer6    = "fec0::1" // the gateway's address on the link

	// patience is how long what has to happen may take: seconds on an emulated
	// machine, milliseconds else.
	patience = 2 * time.Minute
)

// site is one gateway and one client on a link, with what both need.
type site struct {
	*netns.Pair
	t   *testing.T // of the row that runs
	dir string
	tnc string
	ca  *testpki.CA
	gw  tls.Certificate // large, so that it goes in fragments
	cl  tls.Certificate
	// gwRSA and clRSA have keys of RSA.
	gwRSA, clRSA tls.Certificate

	said  *output.Buffer // of the gateway's program
	ended chan struct{}  // closed when the program has ended
}

func newSite(t *testing.T, daemon, pkg string) *site {
	t.Helper()
	need.Root(t)
	if _, err := os.Stat(daemon); err != nil {
		t.Skipf("SKIP needs %s (package %s) and ESP in the kernel: run `make vmtest`", daemon, pkg)
	}
	tnc := os.Getenv("GOTNC_TNC")
	if tnc == "" {
		t.Skip("SKIP needs the virtual machine: run `make vmtest`")
	}
	s := &site{Pair: netns.New(t, inside+"/24", inside6+"/64"), t: t, dir: t.TempDir(), tnc: tnc}
	for _, l := range []string{
		"-n " + s.Gateway + " addr add " + outer6 + "/64 dev " + s.device(s.Gateway, s.GatewayAddr) + " nodad",
		"-n " + s.Client + " addr add fec0::100/64 dev " + s.device(s.Client, s.ClientAddr) + " nodad",
		"-n " + s.Gateway + " route add default via " + s.ClientAddr, // towards virtual addresses: policies match first
		"-n " + s.Gateway + " -6 route add default via fec0::100",
	} {
		s.ip(l)
	}
	s.certificates()
	return s
}

// ip runs a command of iproute2.
func (s *site) ip(line string) {
	s.t.Helper()
	out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
	require.NoError(s.t, err, "ip %s: %s", line, out)
}

// device is that of a namespace with the address.
func (s *site) device(ns, addr string) string {
	s.t.Helper()
	out, err := netns.Run(ns, "ip", "-o", "addr", "show")
	require.NoError(s.t, err, out)
	for l := range strings.Lines(out) {
		if f := strings.Fields(l); strings.HasPrefix(f[3], addr+"/") {
			return f[1]
		}
	}
	require.Fail(s.t, "no device has the address "+addr, out)
	return ""
}

func (s *site) certificates() {
	t := s.t
	var err error
	s.ca, err = testpki.NewCA("gotnc test CA", testpki.ECDSA)
	require.NoError(t, err)
	s.gw, err = s.ca.Issue(gatewayID, testpki.ECDSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		for i := range 60 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("a-name-that-fills-the-certificate-%d.gotnc.test", i))
		}
	})
	require.NoError(t, err)
	s.cl, err = s.ca.Issue(carol, testpki.ECDSA, func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = nil, []string{carol}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		c.Subject.OrganizationalUnit = []string{strings.Repeat("a unit that fills the certificate ", 30)}
	})
	require.NoError(t, err)
	s.gwRSA, err = s.ca.Issue("rsa.gotnc.test", testpki.RSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	})
	require.NoError(t, err)
	s.clRSA, err = s.ca.Issue("eap.gotnc.test", testpki.RSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	require.NoError(t, err)
	sw := filepath.Join(s.dir, "cl")
	require.NoError(t, testpki.WriteFiles(s.clRSA, filepath.Join(sw, "x509", "rsa.pem"), filepath.Join(sw, "private", "rsa.pem")))
	require.NoError(t, testpki.WriteFiles(s.cl, filepath.Join(sw, "x509", "carol.pem"), filepath.Join(sw, "private", "carol.pem")))
	s.write("cl/x509ca/ca.pem", string(s.ca.PEM()))
	s.write("cl/tnc_config", "# no IMC: these gateways ask for none\n")
}

func (s *site) write(path, text string) {
	s.t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(s.t, os.Chmod(path, 0o600)) // a file that is there already keeps its permissions
}

// What is written is for root alone, also where the gateway's package has a file of
// that name: iked ends where its configuration is not.
func TestWriteIsForRootAlone(t *testing.T) {
	s := &site{t: t, dir: t.TempDir()}
	path := filepath.Join(s.dir, "iked.conf")
	require.NoError(t, os.WriteFile(path, []byte("# an example"), 0o755))
	s.write("iked.conf", "set mobike")
	i, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), i.Mode())
}

// daemon starts a gateway's program in its namespace; its output is printed where
// the test fails.
func (s *site) daemon(args ...string) {
	s.t.Helper()
	t := s.t
	cmd := netns.Command(context.Background(), s.Gateway, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.said = &output.Buffer{}
	cmd.Stdout, cmd.Stderr = s.said, s.said
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	s.ended = ended
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	})
}

// waitUntilItAnswers returns once the gateway's program has opened IKE's ports. One
// that ended fails the test with what it said.
func (s *site) waitUntilItAnswers() {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		sockets, err := netns.Run(s.Gateway, "cat", "/proc/net/udp")
		if err == nil && strings.Contains(sockets, ":01F4 ") && strings.Contains(sockets, ":1194 ") { // 500 and 4500
			return
		}
		select {
		case <-s.ended:
			require.Fail(s.t, "the gateway's program ended", s.said.String())
		default:
			require.True(s.t, time.Now().Before(end), "the gateway's program opened no port: %s", s.said)
		}
	}
}

// connection is what the client is configured with.
type connection struct {
	remote        string // address; "" = the gateway's
	local, other  string // sections local and remote
	vips          string // "" = 0.0.0.0
	remoteTS      string // "" = 10.1.0.0/24
	settings      string // further lines of the connection
	child         string // further lines of its child
	strongswan    string // of strongswan.conf, in charon
	secret        string // section of secrets
	dataplane     string // "" = tun
	settingsOfTNC string // of strongswan.conf, in tnc
}

func or(s, usual string) string {
	if s == "" {
		return usual
	}
	return s
}

// running is tnc up in the background.
type running struct {
	s    *site
	cmd  *exec.Cmd
	out  output.Buffer
	exit chan error
}

// up starts tnc up, and returns when the connection is up.
func (s *site) up(c connection) *running {
	s.t.Helper()
	r := s.begin(c)
	r.waitFor("connected; Ctrl-C")
	return r
}

func (s *site) begin(c connection) *running {
	s.t.Helper()
	s.write("cl/strongswan.conf", "charon {\n"+c.strongswan+"\n}\ntnc {\n"+c.settingsOfTNC+"\n}\n")
	s.write("cl/swanctl.conf", fmt.Sprintf(`connections {
  home {
    remote_addrs = %s
    vips = %s
    version = 2
    %s
    local {
      %s
    }
    remote {
      %s
    }
    children {
      home {
        remote_ts = %s
        %s
      }
    }
  }
}
secrets {
  %s
}
`, or(c.remote, s.GatewayAddr), or(c.vips, "0.0.0.0"), c.settings, c.local, c.other, or(c.remoteTS, "10.1.0.0/24"), c.child, c.secret))
	in := func(name string) string { return filepath.Join(s.dir, "cl", name) }
	r := &running{s: s, exit: make(chan error, 1)}
	r.cmd = netns.Command(context.Background(), s.Client, s.tnc, "up", "home", "-v", "--dataplane", or(c.dataplane, "tun"),
		"--swanctl", in("swanctl.conf"), "--strongswan-conf", in("strongswan.conf"), "--tnc-config", in("tnc_config"))
	r.cmd.Env = append(os.Environ(), "TNC_RUN_DIR="+filepath.Join(s.dir, "run"))
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	require.NoError(s.t, r.cmd.Start())
	go func() { r.exit <- r.cmd.Wait() }()
	t := s.t
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("tnc said:\n%s", tail(r.out.String(), 60))
		}
	})
	return r
}

func (r *running) waitFor(text string) {
	r.s.t.Helper()
	require.Eventually(r.s.t, func() bool { return strings.Contains(r.out.String(), text) }, patience, 30*time.Millisecond, "%q was never said", text)
}

// count counts what tnc has said.
func (r *running) count(text string) int { return strings.Count(r.out.String(), text) }

func (r *running) stop() {
	r.s.t.Helper()
	_ = r.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-r.exit:
		require.NoError(r.s.t, err)
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		require.Fail(r.s.t, "tnc did not end", "%v", <-r.exit)
	}
}

// ping sends three pings to an address behind the gateway, once the first has
// crossed the tunnel.
func (s *site) ping(to string) {
	s.t.Helper()
	var out string
	require.Eventually(s.t, func() bool {
		var err error
		out, err = netns.Run(s.Client, "ping", "-c", "3", "-i", "0.2", "-W", "2", to)
		return err == nil && strings.Contains(out, "3 received")
	}, patience, 100*time.Millisecond, "no answer through the tunnel: %s", &out)
}

// transfer sends a megabyte to an address behind the gateway in TCP, and gets
// it back.
func (s *site) transfer(to string) {
	s.t.Helper()
	t := s.t
	addr := net.JoinHostPort(to, "7777")
	l, err := netns.Listen(s.Gateway, addr)
	require.NoError(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	c, err := netns.Dial(s.Client, addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	sent := make([]byte, 1<<20)
	_, _ = rand.Read(sent)
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, len(sent))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(sent, got), "the octets came back changed")
}

var received = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

// flood pings for a while. The function that it returns waits for the end and
// tells how many pings had no answer, of how many.
func (s *site) flood(to string, seconds float64) func() (lost, sent int) {
	s.t.Helper()
	var out bytes.Buffer
	cmd := netns.Command(context.Background(), s.Client, "ping", "-c", fmt.Sprint(int(seconds/0.05)), "-i", "0.05", "-W", "3", to)
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(s.t, cmd.Start())
	return func() (int, int) {
		_ = cmd.Wait()
		m := received.FindStringSubmatch(out.String())
		require.NotNil(s.t, m, out.String())
		var sent, got int
		_, err := fmt.Sscan(m[1]+" "+m[2], &sent, &got)
		require.NoError(s.t, err)
		return sent - got, sent
	}
}

func tail(text string, lines int) string {
	l := strings.Split(text, "\n")
	return strings.Join(l[max(0, len(l)-lines):], "\n")
}
