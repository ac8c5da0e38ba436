package bench

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// What both sides negotiate, and how many handshakes are begun at once: more
// would not fit strongSwan's receive buffer.
const (
	handshakeIKE = "aes128gcm16-prfsha256-x25519"
	handshakeESP = "aes128gcm16"
	handshakes   = 200
	batches      = 5
	serverName   = "moon.gotnc.test"
)

// BenchmarkHandshakes sets IKE_SAs with a CHILD_SA up against the reference
// gateway in the same process, datagram by datagram in memory, on all cores:
// with a preshared key beside strongSwan's load-tester, which also plays both
// ends in one process, with a log line at each end and its datagrams through the
// loopback device; and with EAP-TTLS and EAP-MD5. Every end does all of its
// cryptography.
func BenchmarkHandshakes(b *testing.B) {
	w := newHandshakes(b)
	for range b.N {
		for _, c := range []struct {
			name  string
			rate  func() float64
			count int
		}{
			{"gotnc PSK", func() float64 { return w.rate(b, w.psk) }, batches},
			{"gotnc EAP-TTLS", func() float64 { return w.rate(b, w.ttls) }, 1},
			{"strongSwan PSK", func() float64 { return loadTester(b) }, batches},
		} {
			best := 0.0
			for range c.count {
				best = max(best, c.rate())
			}
			if best > 0 {
				b.ReportMetric(best, regexp.MustCompile(`\W`).ReplaceAllString(c.name, "-")+"/s")
				b.Logf("%-15s %6.0f handshakes per second, %d cores, %s", c.name, best, runtime.GOMAXPROCS(0), handshakeIKE)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
}

func TestHandshakes(t *testing.T) {
	w := newHandshakes(t)
	require.NoError(t, w.run(w.psk, 2))
	require.NoError(t, w.run(w.ttls, 2))
}

// clients is what the clients of a benchmark need.
type clients struct {
	gateway        gateway.Config
	roots          *x509.CertPool
	local, remote  ike.Identity
	selector       ike.TrafficSelector
	here, there    netip.AddrPort
	pskBytes       []byte
	user, password string
}

func newHandshakes(b testing.TB) *clients {
	ca, err := testpki.NewCA("benchmark CA", testpki.ECDSA)
	require.NoError(b, err)
	cert, err := ca.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(b, err)
	w := &clients{roots: x509.NewCertPool(), pskBytes: []byte("default-psk"), user: "carol", password: "Ar3etTnp",
		here: netip.MustParseAddrPort("192.0.2.2:4500"), there: netip.MustParseAddrPort("192.0.2.1:4500")}
	w.roots.AddCert(ca.Cert)
	w.gateway = gateway.Config{
		Identity: serverName, Certificate: cert, PSK: w.pskBytes, Users: map[string]string{w.user: w.password}, Phase2: []string{gateway.MethodMD5},
		IKEProposals: []string{handshakeIKE}, ESPProposals: []string{handshakeESP}, MaxClients: handshakes,
	}
	w.local, err = ike.ParseIdentity("carol@gotnc.test")
	require.NoError(b, err)
	w.remote, err = ike.ParseIdentity(serverName)
	require.NoError(b, err)
	w.selector, err = ike.ParseTrafficSelector("10.1.0.0/16")
	require.NoError(b, err)
	return w
}

func (w *clients) psk(c *ike.Config) func() {
	c.LocalRounds = []ike.LocalRound{{ID: w.local, PSK: w.pskBytes}}
	c.RemoteRounds = []ike.RemoteRound{{ID: w.remote, Method: ike.RemotePSK, PSK: func(ike.Identity) ([]byte, error) { return w.pskBytes, nil }}}
	return func() {}
}

func (w *clients) ttls(c *ike.Config) func() {
	p := eap.NewPeer(eap.Config{Identity: w.user, Methods: []eap.Offer{ttls.Offer(ttls.Config{
		TLS:   eap.TLSConfig{Roots: w.roots, ServerName: serverName},
		Inner: eap.Config{Identity: w.user, Methods: []eap.Offer{md5.Offer([]byte(w.password))}},
	})}})
	c.LocalRounds = []ike.LocalRound{{ID: w.local, EAP: p}}
	c.RemoteRounds = []ike.RemoteRound{{ID: w.remote, Method: ike.RemoteEAP}}
	return p.Close
}

// rate runs a batch, one gateway a core, and returns handshakes per second.
func (w *clients) rate(b testing.TB, auth func(*ike.Config) func()) float64 {
	var wait sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	errs := make(chan error, cores)
	start := time.Now()
	for range cores {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs <- w.run(auth, handshakes/cores)
		}()
	}
	wait.Wait()
	took := time.Since(start)
	for range cores {
		require.NoError(b, <-errs)
	}
	return float64(handshakes/cores*cores) / took.Seconds()
}

func (w *clients) run(auth func(*ike.Config) func(), n int) error {
	var inbox [][]byte
	g, err := gateway.InMemory(w.gateway, w.there, func(_ netip.AddrPort, d []byte) { inbox = append(inbox, d) })
	if err != nil {
		return err
	}
	defer g.Close()
	for range n {
		cfg := ike.Config{Local: w.here, Remote: w.there, Proposals: []string{handshakeIKE},
			Children: []ike.ChildConfig{{RemoteTS: []ike.TrafficSelector{w.selector}, Proposals: []string{handshakeESP}}}}
		end := auth(&cfg)
		m, err := ike.New(cfg)
		if err != nil {
			return err
		}
		stands := false
		var carry func(ike.Outputs)
		carry = func(out ike.Outputs) {
			for _, e := range out.Events {
				switch e := e.(type) {
				case ike.ChildEstablished:
					stands = true
					e.Child.Zero()
				case ike.Failed:
					err = e.Err
				}
			}
			for _, p := range out.Packets {
				g.Deliver(time.Now(), w.here, append([]byte{0, 0, 0, 0}, p.Data...))
			}
			for _, x := range out.Work {
				carry(m.Resume(time.Now(), x.Do(context.Background())))
			}
		}
		carry(m.Start(time.Now()))
		for len(inbox) > 0 {
			d := inbox[0]
			inbox = inbox[1:]
			carry(m.Handle(time.Now(), ike.Datagram{From: w.there, To: w.here, Data: d[4:]}))
		}
		m.Close()
		end()
		if !stands {
			return fmt.Errorf("no CHILD_SA: %w", err)
		}
	}
	return nil
}

// loadTester returns what strongSwan's load-tester makes of the same handshake,
// with its kernel interface replaced by one that does nothing; 0 where it is not
// installed.
func loadTester(b testing.TB) float64 {
	b.Helper()
	prefix := os.Getenv("STRONGSWAN_PREFIX")
	if _, err := os.Stat(filepath.Join(prefix, "lib/ipsec/plugins/libstrongswan-load-tester.so")); prefix == "" || err != nil {
		b.Log("strongSwan's load-tester is not measured: set STRONGSWAN_PREFIX to a strongSwan that was built with it")
		return 0
	}
	if os.Geteuid() != 0 {
		b.Log("strongSwan's load-tester is not measured: it needs root")
		return 0
	}
	dir := b.TempDir()
	logFile, conf := filepath.Join(dir, "log"), filepath.Join(dir, "strongswan.conf")
	require.NoError(b, os.WriteFile(conf, fmt.Appendf(nil, `
charon {
  load = random nonce openssl pem pkcs1 x509 pubkey constraints hmac sha1 sha2 kdf load-tester kernel-netlink socket-default
  threads = 16
  reuse_ikesa = no
  dos_protection = no
  filelog {
    log {
      path = %s
      default = -1
      ike = 1
      time_format = %%s
      time_add_ms = yes
      flush_line = yes
    }
  }
  plugins {
    load-tester {
      enable = yes
      fake_kernel = yes
      initiators = 2
      iterations = %d
      initiator = 127.0.0.1
      responder = 127.0.0.1
      initiator_auth = psk
      responder_auth = psk
      proposal = %s
      esp = %s
    }
  }
}
`, logFile, handshakes/2, handshakeIKE, handshakeESP), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-n", "-m", "sh", "-c",
		"ip link set lo up && mount -t tmpfs tmpfs /run && exec "+filepath.Join(prefix, "libexec/ipsec/charon"))
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(b, cmd.Start())
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	begun := regexp.MustCompile(`(?m)^(\d+\.\d+) .* initiating IKE_SA load-test`)
	// The initiator's own identity is c1-r1 and so on.
	stands := regexp.MustCompile(`(?m)^(\d+\.\d+) .* established between 127\.0\.0\.1\[c\d`)
	var log []byte
	require.Eventually(b, func() bool {
		log, _ = os.ReadFile(logFile)
		return len(stands.FindAll(log, -1)) == handshakes
	}, 25*time.Second, 20*time.Millisecond, "the load-tester does not end")
	seconds := func(m [][]byte) float64 {
		f, err := strconv.ParseFloat(string(m[1]), 64)
		require.NoError(b, err)
		return f
	}
	all := stands.FindAllSubmatch(log, -1)
	return handshakes / (seconds(all[len(all)-1]) - seconds(begun.FindSubmatch(log)))
}
