// Package charon runs `tnc` against Debian's strongSwan as the gateway: IKEv2,
// EAP-TTLS with EAP-MD5 inside, and a tunnel that a ping crosses. The two are
// hosts of their own (network namespaces); both keep ESP in user space.
package charon

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

const (
	gatewayID = "moon.gotnc.test"
	user      = "carol@gotnc.test"
	password  = "Ar3etTnp"
	inside    = "10.1.0.1" // behind the gateway

	// patience is how long what has to happen may take: seconds on an emulated
	// machine, milliseconds else.
	patience = time.Minute
)

// peer is an installed strongSwan.
type peer struct{ charon, swanctl string }

var debian = peer{"/usr/lib/ipsec/charon", "/usr/sbin/swanctl"}

// site is one gateway and one client with their configuration files.
type site struct {
	*netns.Pair
	t   *testing.T
	dir string
	tnc string
	ca  *testpki.CA // of the gateway
	peer

	machine []string // what tnc up is started with; empty = as it is
}

// options of the two ends that a test varies.
type options struct {
	proposals, esp string                  // of both ends
	tlsMax         string                  // of the gateway
	phase2         string                  // method of the gateway inside EAP-TTLS; "" = md5
	fragment       int                     // of the gateway's EAP-TTLS, octets
	clientTLSMax   string                  // "" = as new as possible
	clientSecret   string                  // "" = the right one
	gatewayName    string                  // identity and certificate of the gateway; "" = gatewayID
	aaa            string                  // what the client expects in the certificate; "" = gatewayID
	foreignCA      bool                    // the client trusts another CA than the gateway's
	peer           peer                    // zero = debian
	cookies        int                     // the gateway asks an address with as many half-open IKE_SAs for cookies; 0 = never
	hashAndURL     bool                    // the gateway fetches certificates
	certificate    func(*x509.Certificate) // changes the gateway's before it is signed; nil = not
}

func newSite(t *testing.T, o options) *site {
	t.Helper()
	need.Root(t)
	if o.peer == (peer{}) {
		o.peer = debian
	}
	need.Program(t, o.peer.charon, "strongswan-charon")
	need.Program(t, o.peer.swanctl, "strongswan-swanctl")
	need.Program(t, "ping", "iputils-ping")
	if _, err := os.Stat("/usr/lib/ipsec/plugins/libstrongswan-eap-ttls.so"); err != nil {
		need.Program(t, "libstrongswan-eap-ttls.so", "libcharon-extra-plugins")
	}
	needPlane(t)
	s := &site{t: t, dir: t.TempDir(), peer: o.peer}
	s.Pair = netns.New(t, inside+"/24")
	s.tnc = buildClient(t)
	s.gateway(o)
	s.client(o)
	return s
}

func (s *site) write(path, format string, args ...any) {
	s.t.Helper()
	path = filepath.Join(s.dir, path)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600))
}

// gateway configures and starts charon.
func (s *site) gateway(o options) {
	t := s.t
	ca, err := testpki.NewCA("gotnc test CA", keyKind())
	require.NoError(t, err)
	s.ca = ca
	name := gatewayID
	if o.gatewayName != "" {
		name = o.gatewayName
	}
	cert, err := ca.Issue(name, keyKind(), o.certificate)
	require.NoError(t, err)
	sw := filepath.Join(s.dir, "gw", "swanctl")
	require.NoError(t, testpki.WriteFiles(cert, filepath.Join(sw, "x509", "gw.pem"), filepath.Join(sw, "private", "gw.pem")))
	s.write("gw/swanctl/x509ca/ca.pem", "%s", ca.PEM())
	if o.foreignCA {
		ca, err = testpki.NewCA("another CA", testpki.RSA)
		require.NoError(t, err)
	}
	s.write("cl/swanctl/x509ca/ca.pem", "%s", ca.PEM())

	tlsMax, fragment := o.tlsMax, o.fragment
	if tlsMax == "" {
		tlsMax = "1.2"
	}
	if fragment == 0 {
		fragment = 1024
	}
	phase2 := o.phase2
	if phase2 == "" {
		phase2 = "md5"
	}
	vici := filepath.Join(s.dir, "gw", "vici")
	s.write("gw/strongswan.conf", `
charon {
  cookie_threshold_ip = %[7]d
  block_threshold = 100 # 5 clients that were killed while they connect make it silent for half a minute; 0 is 1
  hash_and_url = %[8]v
  load = random nonce openssl curl ml aes ctr ccm xcbc cmac curve25519 pem pkcs1 pkcs8 x509 pubkey revocation constraints hmac sha1 sha2 kdf gmp vici %[6]s kernel-netlink socket-default eap-identity eap-ttls eap-tls eap-peap eap-md5 eap-mschapv2 eap-gtc eap-dynamic xauth-generic updown
  filelog {
    log {
      path = %[1]s/gw/charon.log
      default = 1
      ike = 2
      tls = 2
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://%[2]s
    }
    eap-ttls {
      phase2_method = %[5]s
      phase2_piggyback = yes
      fragment_size = %[3]d
      max_message_count = 0
    }
    eap-peap {
      phase2_method = %[5]s
      max_message_count = 0
    }
    eap-gtc {
      backend = generic
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
  }
}
libtls {
  version_max = %[4]s
}
`, s.dir, vici, fragment, tlsMax, phase2, gatewayPlane(), o.cookies, o.hashAndURL)
	s.write("gw/swanctl/swanctl.conf", `
connections {
  rw {
    local_addrs = %s
    local {
      auth = eap-ttls
      id = %s
    }
    remote {
      auth = eap-ttls
      id = *@gotnc.test
    }
    children {
      rw {
        local_ts = 10.1.0.0/24
        esp_proposals = %s
      }
    }
    version = 2
    send_certreq = no
    proposals = %s
  }
}
secrets {
  eap {
    id = %s
    secret = "%s"
  }
}
`, s.GatewayAddr, name, o.esp, o.proposals, user, password)

	cmd := netns.Command(context.Background(), s.Gateway, "unshare", "-m", "sh", "-c",
		"mount -t tmpfs tmpfs /run && exec "+s.charon)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+filepath.Join(s.dir, "gw", "strongswan.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-exited
		}
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(s.dir, "gw", "charon.log"))
			t.Logf("charon said:\n%s%s", out.String(), tail(b, 60))
		}
	})
	load := func() (string, error) {
		c := netns.Command(context.Background(), s.Gateway, s.peer.swanctl, "--load-all", "--uri", "unix://"+vici)
		c.Env = append(os.Environ(), "SWANCTL_DIR="+sw, "STRONGSWAN_CONF="+filepath.Join(s.dir, "gw", "strongswan.conf"))
		b, err := c.CombinedOutput()
		return string(b), err
	}
	var said string
	require.Eventually(t, func() bool {
		if _, err := os.Stat(vici); err != nil {
			return false
		}
		said, err = load()
		return err == nil
	}, patience, 100*time.Millisecond, "charon did not start: %s %s", &out, &said)
}

// client writes what a user of tnc would have.
func (s *site) client(o options) {
	secret := o.clientSecret
	if secret == "" {
		secret = password
	}
	conf, aaa := "charon {\n}\n", ""
	if o.clientTLSMax != "" {
		conf += "libtls {\n  version_max = " + o.clientTLSMax + "\n}\n"
	}
	if o.aaa != "" {
		aaa = "aaa_id = " + o.aaa
	}
	s.write("cl/strongswan.conf", "%s", conf)
	s.write("cl/swanctl/swanctl.conf", `
connections {
  home {
    local_addrs = %s
    remote_addrs = %s
    local {
      auth = eap-ttls
      id = %s
      %s
    }
    remote {
      auth = eap-ttls
      id = %s
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
        esp_proposals = %s
      }
    }
    version = 2
    proposals = %s
  }
}
secrets {
  eap {
    id = %s
    secret = "%s"
  }
}
`, s.ClientAddr, s.GatewayAddr, user, aaa, gatewayID, o.esp, o.proposals, user, secret)
}

// args are the arguments of tnc VERB home with this site's files.
func (s *site) args(verb string, more ...string) []string {
	return append([]string{s.tnc, verb, "home",
		"--swanctl", filepath.Join(s.dir, "cl", "swanctl", "swanctl.conf"),
		"--strongswan-conf", filepath.Join(s.dir, "cl", "strongswan.conf"),
		"--tnc-config", "/dev/null"}, more...)
}

// run runs tnc in the client's namespace and returns output and exit code.
func (s *site) run(verb string, more ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := netns.Command(ctx, s.Client, s.args(verb, more...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	code = cmd.ProcessState.ExitCode()
	if err != nil && code < 0 {
		s.t.Fatalf("tnc %s: %v\n%s%s", verb, err, &o, &e)
	}
	return o.String(), e.String(), code
}

// nothingLeft asserts that no device, route or rule of ours remains.
func (s *site) nothingLeft() {
	s.t.Helper()
	links, err := netns.Run(s.Client, "ip", "-o", "link")
	require.NoError(s.t, err)
	require.NotRegexp(s.t, `(?m)^[0-9]+: tnc[0-9]`, links, "a TUN device was left behind")
	rules, err := netns.Run(s.Client, "ip", "rule")
	require.NoError(s.t, err)
	require.Len(s.t, strings.Split(strings.TrimSpace(rules), "\n"), 3, "a rule was left behind: %s", rules)
	routes, err := netns.Run(s.Client, "ip", "route", "show", "table", "all", "10.1.0.0/24")
	if err == nil {
		require.Empty(s.t, strings.TrimSpace(routes), "a route was left behind")
	}
	s.nothingInKernel()
}

func tail(b []byte, lines int) string {
	l := strings.Split(string(b), "\n")
	return strings.Join(l[max(0, len(l)-lines):], "\n")
}

var clientBin string

func buildClient(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("GOTNC_TNC"); bin != "" {
		return bin
	}
	if clientBin == "" {
		dir, err := os.MkdirTemp("", "tnc-interop")
		require.NoError(t, err)
		clientBin = filepath.Join(dir, "tnc")
		out, err := exec.Command("go", "build", "-o", clientBin, "github.com/gotnc/gotnc/cmd/tnc").CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return clientBin
}

func TestMain(m *testing.M) {
	code := m.Run()
	if clientBin != "" {
		os.RemoveAll(filepath.Dir(clientBin))
	}
	os.Exit(code)
}

const (
	usualIKE = "aes128-sha256-ecp256"
	usualESP = "aes128gcm16"
)

// The main road: up, ping through the tunnel, down, nothing left.
func TestTunnelCarriesAPing(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	cmd := netns.Command(context.Background(), s.Client, s.args("up", "-v", "--dataplane", dataplane())...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop := func(sig os.Signal) error {
		_ = cmd.Process.Signal(sig)
		select {
		case err := <-exited:
			return err
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			return fmt.Errorf("tnc did not end: %w", <-exited)
		}
	}
	var ping string
	require.Eventually(t, func() bool {
		var err error
		ping, err = netns.Run(s.Client, "ping", "-c", "1", "-W", "1", inside)
		return err == nil
	}, patience, 200*time.Millisecond, "no answer through the tunnel")
	ping, err := netns.Run(s.Client, "ping", "-c", "20", "-i", "0.05", "-W", "2", inside)
	require.NoError(t, err, "%s", ping)
	require.Contains(t, ping, "20 received")
	big, err := netns.Run(s.Client, "ping", "-c", "3", "-i", "0.1", "-W", "2", "-s", "1300", inside)
	require.NoError(t, err, "%s", big)

	require.NoError(t, stop(os.Interrupt), "%s", out.String())
	s.nothingLeft()
	log, err := os.ReadFile(filepath.Join(s.dir, "gw", "charon.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "received DELETE for IKE_SA")
	require.Contains(t, string(log), "EAP method EAP_TTLS succeeded, MSK established")
}

// MSCHAPv2 inside EAP-TTLS, where both ends prove the password.
func TestMSCHAPv2InsideTTLS(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, phase2: "mschapv2"})
	stdout, stderr, code := s.run("attest")
	require.Zero(t, code, "%s%s", stdout, stderr)
	s.client(options{proposals: usualIKE, esp: usualESP, clientSecret: "wrong"})
	_, stderr, code = s.run("attest")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "password")
}

// Small EAP-TTLS fragments of the gateway need reassembly on our side.
func TestSmallFragments(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, fragment: 200})
	stdout, stderr, code := s.run("attest")
	require.Zero(t, code, "%s%s", stdout, stderr)
}

// strongSwan before 5.9.10 derives another key of EAP-TTLS over TLS 1.3 than RFC
// 9427 says: the error names the way out, and the way out works. A peer that is
// newer is in internal/interop/strongswan.
func TestTLS13(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, tlsMax: "1.3"})
	stdout, stderr, code := s.run("attest")
	if code != 0 {
		require.Contains(t, stderr, "libtls.version_max = 1.2", "%s", stdout)
		s.client(options{proposals: usualIKE, esp: usualESP, clientTLSMax: "1.2"})
		stdout, stderr, code = s.run("attest")
	}
	require.Zero(t, code, "%s%s", stdout, stderr)
}

// Bad input of every kind ends with one sentence and exit code 1.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		o    options
		says string
	}{
		"wrong password":    {options{clientSecret: "wrong"}, "password"},
		"untrusted gateway": {options{foreignCA: true}, "CA"},
		"another gateway":   {options{gatewayName: "sun.gotnc.test"}, "remote.id"},
		"misnamed gateway":  {options{aaa: "sun.gotnc.test"}, gatewayID},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.proposals, c.o.esp = usualIKE, usualESP
			s := newSite(t, c.o)
			stdout, stderr, code := s.run("up", "--dataplane", dataplane())
			require.Equal(t, 1, code, "%s%s", stdout, stderr)
			last := tail([]byte(strings.TrimSpace(stderr)), 1)
			require.True(t, strings.HasPrefix(last, "tnc: "), "one clear sentence last: %q", last)
			require.Contains(t, last, c.says)
			s.nothingLeft()
		})
	}
}

func TestNoCommonProposal(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.client(options{proposals: "aes256-sha512-modp2048", esp: usualESP})
	_, stderr, code := s.run("attest")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "proposals")
}

func TestGatewayIsGone(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.write("cl/strongswan.conf", "charon {\n retransmit_tries = 1\n retransmit_timeout = 0.3\n}\n")
	b, err := os.ReadFile(filepath.Join(s.dir, "cl", "swanctl", "swanctl.conf"))
	require.NoError(t, err)
	s.write("cl/swanctl/swanctl.conf", "%s", strings.ReplaceAll(string(b), s.GatewayAddr, "192.168.0.77"))
	start := time.Now()
	_, stderr, code := s.run("up", "--dataplane", dataplane())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "192.168.0.77")
	require.Less(t, time.Since(start), 20*time.Second)
	s.nothingLeft()
}
