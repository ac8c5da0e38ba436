package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// tcpRelay is a bad link under a TCP connection: it cuts what passes into pieces,
// delays a fifth of them as a lost segment would, and breaks the connection now and
// then.
type tcpRelay struct {
	l      net.Listener
	to     netip.AddrPort
	broken atomic.Int32
	pieces atomic.Int32
}

func newTCPRelay(t *testing.T, to netip.AddrPort) *tcpRelay {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	r := &tcpRelay{l: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *tcpRelay) port() uint16 { return r.l.Addr().(*net.TCPAddr).AddrPort().Port() }

func (r *tcpRelay) serve(front net.Conn) {
	back, err := net.Dial("tcp4", r.to.String())
	if err != nil {
		front.Close()
		return
	}
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		defer from.Close()
		defer to.Close()
		b := make([]byte, 700)
		for {
			n, err := from.Read(b[:1+rand.IntN(len(b))])
			if err != nil {
				return
			}
			r.pieces.Add(1)
			if rand.IntN(5) == 0 {
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			}
			if rand.IntN(40) == 0 {
				r.broken.Add(1)
				_ = from.(*net.TCPConn).SetLinger(0)
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
	both.Go(func() { pass(back, front) })
	both.Go(func() { pass(front, back) })
	both.Wait()
}

// overTCP gives a site a gateway that UDP does not reach, and a relay to its TCP
// port.
func overTCP(t *testing.T, settings string) (*site, *tcpRelay) {
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.MaxClients, c.ListenTCP = 1000, "127.0.0.1:0" })
	s.gw.BlockUDP(true)
	r := newTCPRelay(t, s.gw.AddrTCP())
	s.write("strongswan.conf", fmt.Sprintf("charon {\n retransmit_timeout = 0.15\n retransmit_base = 1.1\n retransmit_tries = 60\n}\ntnc {\n tcp_port = %d\n %s\n}\n", r.port(), settings))
	return s, r
}

// Where UDP is blocked, 100 of 100 attestations come up over a bad TCP link (20 with
// -short).
func TestLossyLinkOverTCP(t *testing.T) {
	runs, parallel := 100, 10
	if testing.Short() {
		runs = 20
	}
	s, r := overTCP(t, "tcp_after = 0.3")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []string
	slots := make(chan struct{}, parallel)
	for range runs {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			stdout, stderr, code := s.attest("--json")
			var out report.Outcome
			err := json.Unmarshal([]byte(stdout), &out)
			if code != 0 || err != nil || out.Recommendation != client.Allowed || out.Child == nil || out.Transport != client.TransportTCP {
				mu.Lock()
				failed = append(failed, stdout+stderr)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	require.Empty(t, failed, "%d of %d did not come up", len(failed), runs)
	t.Logf("%d of %d attestations came up; %d connections broke, %d pieces passed", runs, runs, r.broken.Load(), r.pieces.Load())
	require.Greater(t, int(r.broken.Load()), runs/10)
}

// encap_tcp decides; the sentences name it.
func TestEncapTCP(t *testing.T) {
	s, _ := overTCP(t, "encap_tcp = yes")
	stdout, stderr, code := s.attest()
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Contains(t, stdout, " over TCP")

	quick := "charon {\n retransmit_timeout = 0.05\n retransmit_base = 1\n retransmit_tries = 2\n}\n"
	s.write("strongswan.conf", quick+"tnc {\n encap_tcp = no\n}\n")
	_, stderr, code = s.attest()
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "is open on the way")
	require.NotContains(t, stderr, "TCP")

	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	port := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	s.write("strongswan.conf", fmt.Sprintf(quick+"tnc {\n tcp_port = %d\n}\n", port))
	_, stderr, code = s.attest()
	require.Equal(t, 1, code)
	last := strings.TrimSpace(stderr)
	require.Contains(t, last, fmt.Sprintf("nor does it work over TCP (tnc.encap_tcp, tnc.tcp_port): connect to TCP port %d of 127.0.0.1: connection refused", port))
	require.Contains(t, last, "is open on the way")
	s.write("strongswan.conf", fmt.Sprintf("tnc {\n encap_tcp = yes\n tcp_port = %d\n}\n", port))
	_, stderr, code = s.attest()
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "tnc.encap_tcp = yes uses TCP alone")
	s.write("strongswan.conf", quick+"tnc {\n encap_tcp = perhaps\n}\n")
	_, stderr, _ = s.attest("-v")
	require.Contains(t, stderr, "encap_tcp = perhaps: not one of auto, yes, no; the default applies")
}
