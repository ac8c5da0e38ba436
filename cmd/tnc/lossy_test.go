package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// relay is a bad link: of the datagrams in each direction it drops 20 %, and
// doubles 20 % of the others, and delays 20 % so that later ones overtake them.
type relay struct {
	front *net.UDPConn
	to    netip.AddrPort
	mu    sync.Mutex
	back  map[netip.AddrPort]*net.UDPConn
	lost  int
	sent  int
}

func newRelay(t *testing.T, to netip.AddrPort) *relay {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	r := &relay{front: front, to: to, back: map[netip.AddrPort]*net.UDPConn{}}
	go r.forward()
	t.Cleanup(func() {
		front.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range r.back {
			c.Close()
		}
	})
	return r
}

func (r *relay) addr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *relay) forward() {
	buf := make([]byte, 65535)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		back := r.back[from]
		if back == nil {
			if back, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.to)); err == nil {
				r.back[from] = back
				go r.backward(back, from)
			}
		}
		r.mu.Unlock()
		if err == nil {
			r.pass(buf[:n], func(b []byte) { _, _ = back.Write(b) })
		}
	}
}

func (r *relay) backward(back *net.UDPConn, to netip.AddrPort) {
	buf := make([]byte, 65535)
	for {
		n, err := back.Read(buf)
		if err != nil {
			return
		}
		r.pass(buf[:n], func(b []byte) { _, _ = r.front.WriteToUDPAddrPort(b, to) })
	}
}

func (r *relay) pass(b []byte, send func([]byte)) {
	r.mu.Lock()
	r.sent++
	drop := rand.IntN(5) == 0
	if drop {
		r.lost++
	}
	r.mu.Unlock()
	if drop {
		return
	}
	copies := 1
	if rand.IntN(5) == 0 {
		copies = 2
	}
	for range copies {
		c := append([]byte(nil), b...)
		if rand.IntN(5) == 0 {
			time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, func() { send(c) })
			continue
		}
		send(c)
	}
}

// Over a link that drops, doubles, reorders and delays 20 % of all datagrams,
// 100 of 100 attestations and CHILD_SAs come up (20 with -short).
func TestLossyLink(t *testing.T) {
	runs, parallel := 100, 10
	if testing.Short() {
		runs = 20
	}
	const hybrid = "aes128gcm16-prfsha256-x25519-ke1_mlkem768" // IKE_INTERMEDIATE in fragments too
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) { c.MaxClients, c.IKEProposals = 1000, []string{hybrid} })
	r := newRelay(t, s.addr)
	s.write("strongswan.conf", "charon {\n retransmit_timeout = 0.15\n retransmit_base = 1.1\n retransmit_tries = 30\n}\n")
	s.replace("swanctl.conf", fmt.Sprintf("remote_port = %d", s.addr.Port()), fmt.Sprintf("remote_port = %d\n    proposals = %s", r.addr().Port(), hybrid))
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
			if code != 0 || err != nil || out.Recommendation != client.Allowed || out.Child == nil || len(out.Child.RemoteTS) == 0 {
				mu.Lock()
				failed = append(failed, stdout+stderr)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	require.Empty(t, failed, "%d of %d did not come up", len(failed), runs)
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%d of %d attestations came up; %d of %d datagrams were lost", runs, runs, r.lost, r.sent)
	require.Greater(t, r.lost, r.sent/10)
	up := 0
	for _, c := range s.gw.Report().Clients {
		if c.State == gateway.Established || c.State == gateway.Deleted {
			up++
		}
	}
	require.GreaterOrEqual(t, up, runs, "CHILD_SAs that the gateway made")
}
