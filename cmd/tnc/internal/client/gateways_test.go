package client

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/gateway"
)

// names answers DNS queries with these addresses, for this test.
func names(t *testing.T, known map[string][]string) {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(dnsAnswer(b[:n], known), from)
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp", pc.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		pc.Close()
	})
}

// dnsAnswer answers a query of one question (RFC 1035 section 4.1).
func dnsAnswer(query []byte, known map[string][]string) []byte {
	var labels []string
	at := 12
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	end := at + 5
	kind := binary.BigEndian.Uint16(query[at+1:])
	addrs, found := known[strings.Join(labels, ".")]
	out := append([]byte(nil), query[:end]...)
	out[2], out[3] = 0x84, 0
	if !found {
		out[3] = 3
	}
	clear(out[6:12])
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		if a.Is4() != (kind == 1) || a.Is6() != (kind == 28) {
			continue
		}
		out[7]++
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
		out = append(out, a.AsSlice()...)
	}
	return out
}

// remoteAddrs changes remote_addrs, and adds further settings of the connection.
func (s *site) remoteAddrs(list string, more ...string) {
	s.replace("remote_addrs = "+s.gw.Addr().Addr().String(), "remote_addrs = "+list+"\n"+strings.Join(more, "\n"))
}

// attemptsOf lists what was tried: host, address, reason.
func attemptsOf(list []Attempt) (out []string) {
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

// The addresses of the gateway are tried in turn, whatever keeps one of them from
// answering.
func TestAddressesInTurn(t *testing.T) {
	for name, list := range map[string]string{
		"a silent one":      "127.0.0.9, 127.0.0.1",
		"no such name":      "nosuch.gotnc.test, 127.0.0.1",
		"no route":          "fe80::1, 127.0.0.1",
		"a subnet":          "192.0.2.0/24, %any, 192.0.2.1-192.0.2.9, 127.0.0.1",
		"a name of both":    "both.gotnc.test",
		"another local one": "127.0.0.1",
	} {
		t.Run(name, func(t *testing.T) {
			names(t, map[string][]string{"both.gotnc.test": {"127.0.0.1", "::1"}})
			s := newSite(t, nil)
			s.remoteAddrs(list)
			if name == "another local one" {
				s.replace("vips = 0.0.0.0", "vips = 0.0.0.0\n    local_addrs = ::1, both.gotnc.test")
			}
			c := s.client(nil)
			c.quickAnswer = 300 * time.Millisecond
			r, err := c.Run(t.Context())
			require.NoError(t, err)
			require.True(t, r.Up)
			require.Equal(t, s.gw.Addr(), r.Gateway)
			require.Empty(t, r.Attempts, "it is up")
		})
	}
}

// Where none works the error has the reason of each.
func TestNoAddressWorks(t *testing.T) {
	names(t, map[string][]string{"both.gotnc.test": {"127.0.0.8", "fe80::8"}})
	s := newSite(t, nil)
	s.remoteAddrs("nosuch.gotnc.test, both.gotnc.test, 127.0.0.9")
	c := s.client(nil)
	c.quickAnswer = 100 * time.Millisecond
	r, err := c.Run(t.Context())
	require.ErrorIs(t, err, ike.ErrNoAnswer)
	var all *AttemptsError
	require.ErrorAs(t, err, &all)
	tried := attemptsOf(all.Attempts)
	require.Equal(t, attemptsOf(r.Attempts), tried)
	require.Len(t, tried, 4)
	require.Regexp(t, `^nosuch\.gotnc\.test: find the gateway's address: .*no such host$`, tried[0])
	both := strings.Join(tried[1:3], "\n") // in the order of the system
	require.Regexp(t, `(?m)^both\.gotnc\.test \(\[fe80::8\]:\d+\): no route to fe80::8: `, both)
	require.Regexp(t, `(?m)^both\.gotnc\.test \(127\.0\.0\.8:\d+\): no answer from the gateway 127\.0\.0\.8\[\d+\] after 1 retransmission`, both)
	require.Regexp(t, `^127\.0\.0\.9: no answer from the gateway 127\.0\.0\.9\[\d+\] after 1 retransmission`, tried[3])
	for _, a := range tried {
		require.Contains(t, err.Error(), a)
	}
}

// A gateway that refuses this end is not asked again at another address.
func TestRefusalIsFinal(t *testing.T) {
	s := newSite(t, nil)
	s.swanctl("wrong")
	s.remoteAddrs("127.0.0.1, 127.0.0.9")
	_, err := s.client(nil).Run(t.Context())
	require.ErrorIs(t, err, ike.ErrEAP)
	var all *AttemptsError
	require.NotErrorAs(t, err, &all)
}

// local_addrs of one family leaves addresses of the other out, with the reason.
func TestFamilies(t *testing.T) {
	s := newSite(t, nil)
	s.remoteAddrs("127.0.0.1, ::1", "local_addrs = ::1")
	c := s.client(nil)
	_, err := c.Run(t.Context())
	require.ErrorContains(t, err, `127.0.0.1: local_addrs of connection "home" has no IPv4 address; ::1: no answer from the gateway`)
}

// A name that does not exist ends a connection whatever keyingtries says, as in
// strongSwan; a gateway without a route is tried as often as keyingtries says.
func TestNoEndlessTries(t *testing.T) {
	stay := func(cfg *Config) { cfg.Stay, cfg.Dataplane = true, "none" }
	names(t, nil)
	s := newSite(t, nil)
	s.remoteAddrs("nosuch.gotnc.test", "keyingtries = 0")
	_, err := s.client(stay).Run(t.Context())
	var lookup *LookupError
	require.ErrorAs(t, err, &lookup)

	s = newSite(t, nil)
	s.remoteAddrs("fe80::1", "keyingtries = 2")
	c := s.client(stay)
	_, err = c.Run(t.Context())
	var route *RouteError
	require.ErrorAs(t, err, &route)
	require.Equal(t, 1, c.Status().Reconnects, "two tries")
}

// A connection that never was up says so, what was tried and when it is tried
// again; it ends with the time of --timeout, and says what kept it.
func TestStatusWhileItIsTried(t *testing.T) {
	s := newSite(t, nil)
	s.remoteAddrs("fe80::1, fe80::2", "keyingtries = 0")
	ctx, met := WithTimeout(t.Context(), 3*time.Second)
	defer met()
	c := s.client(func(cfg *Config) { cfg.Stay, cfg.Dataplane, cfg.Met = true, "none", met })
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx)
		ended <- err
	}()
	require.Eventually(t, func() bool { return !c.Status().NextAttempt.IsZero() }, 3*time.Second, time.Millisecond)
	st := c.Status()
	require.Equal(t, Connecting, st.State)
	require.Zero(t, st.Since)
	require.Len(t, st.Attempts, 2)
	require.Contains(t, st.Attempts[0].Error, "no route to fe80::1")
	err := <-ended
	var timeout *TimeoutError
	require.ErrorAs(t, err, &timeout)
	require.Contains(t, err.Error(), "no outcome within 3s, the time of --timeout: no address of the gateway led to a connection: fe80::1: no route to fe80::1")
}

// The time of --timeout does not end a connection that is up.
func TestTimeoutIsMet(t *testing.T) {
	s := newSite(t, nil)
	ctx, met := WithTimeout(t.Context(), time.Second)
	c, end := s.runUp(func(cfg *Config) { cfg.Met = met })
	time.Sleep(1200 * time.Millisecond)
	require.NoError(t, ctx.Err())
	require.Equal(t, Up, c.Status().State)
	require.NoError(t, end())

	s = newSite(t, func(g *gateway.Config) { g.Faults.Silent = true })
	s.write("strongswan.conf", "charon {\n port = 0\n port_nat_t = 0\n}\n")
	ctx, met = WithTimeout(t.Context(), 300*time.Millisecond)
	defer met()
	_, err := s.client(nil).Run(ctx)
	require.EqualError(t, err, "no outcome within 300ms, the time of --timeout: 127.0.0.1: no answer from the gateway so far")
}

// A connection that is lost is tried again for its time, and then ends.
func TestLostForGood(t *testing.T) {
	s := newSite(t, nil)
	s.replace("remote_ts = 10.1.0.0/16", "remote_ts = 10.1.0.0/16\n        dpd_action = restart")
	s.replace("version = 2", "version = 2\n    dpd_delay = 1s")
	up, ended := make(chan struct{}), make(chan error, 1)
	c := s.client(func(cfg *Config) { cfg.Stay, cfg.Dataplane, cfg.OnUp = true, "none", func(Result) { close(up) } })
	c.lossTime = 2 * time.Second
	go func() {
		_, err := c.Run(t.Context())
		ended <- err
	}()
	<-up
	require.NoError(t, s.gw.Close())
	require.Eventually(t, func() bool {
		st := c.Status()
		return st.State == Reconnecting && len(st.Attempts) == 1 && st.Since.IsZero()
	}, 20*time.Second, time.Millisecond)
	select {
	case err := <-ended:
		require.ErrorIs(t, err, ike.ErrNoAnswer)
	case <-time.After(20 * time.Second):
		require.Fail(t, "it is tried without end")
	}
}

// The name servers may be behind the tunnel that is lost: a name that was found
// before leads to the gateway all the same.
func TestReconnectionWithoutNameServers(t *testing.T) {
	names(t, map[string][]string{"moon.gotnc.test": {"127.0.0.1"}})
	s := newSite(t, nil)
	s.remoteAddrs("moon.gotnc.test")
	s.replace("remote_ts = 10.1.0.0/16", "remote_ts = 10.1.0.0/16\n        close_action = restart")
	c, end := s.runUp(nil)
	names(t, nil)
	require.Equal(t, 1, s.gw.Delete())
	require.Eventually(t, func() bool { st := c.Status(); return st.State == Up && st.Reconnects == 1 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, end())
}
