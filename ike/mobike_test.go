package ike

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

var roamed = netip.MustParseAddrPort("198.51.100.7:4500")

// answerUpdate is the gateway's answer to UPDATE_SA_ADDRESSES.
func answerUpdate(t *testing.T, n *network, p Packet, edit func([]message.Payload) []message.Payload) {
	t.Helper()
	msg, err := n.r.asm.Handle(n.r.prot, p.Data)
	require.NoError(t, err)
	require.NotNil(t, msg.Notify(message.UpdateSAAddresses))
	cookie := msg.Notify(message.Cookie2)
	require.NotNil(t, cookie)
	ps := []message.Payload{
		notify(message.NATDetectionSourceIP, crypto.NATDetection(n.r.spii, n.r.spir, p.To)),
		notify(message.NATDetectionDestinationIP, crypto.NATDetection(n.r.spii, n.r.spir, p.From)),
		cookie,
	}
	if edit != nil {
		ps = edit(ps)
	}
	h := message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.Informational, Flags: message.FlagResponse, MessageID: msg.MessageID}
	n.r.next++
	for _, b := range n.r.seal(h, ps) {
		n.run(n.m.Handle(n.now, Datagram{From: p.To, To: p.From, Data: b}))
	}
}

func mobile(t *testing.T) *network {
	n := up(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editChild = func(ps []message.Payload) []message.Payload {
			return append(ps, notify(message.MOBIKESupported, nil), notify(message.AdditionalIP4Address, []byte{192, 168, 0, 2}))
		}
	})
	require.True(t, n.m.mobility.enabled)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("192.168.0.2")}, n.m.mobility.others)
	return n
}

func TestRoam(t *testing.T) {
	n := mobile(t)
	out := n.m.Roam(n.now, roamed, netip.AddrPort{})
	require.Len(t, out.Packets, 1)
	require.Equal(t, roamed, out.Packets[0].From)
	answerUpdate(t, n, out.Packets[0], nil)
	e, ok := event[Moved](n)
	require.True(t, ok, n.log.String())
	require.Equal(t, roamed, e.Path.Local)
	require.False(t, e.Path.NATLocal)
	require.Equal(t, "198.51.100.7/32", selectors(n.m.children.list[0].localTS), "what protects our address follows it")
	require.Empty(t, n.m.Roam(n.now, roamed, netip.AddrPort{}).Packets, "nothing changed")
}

// A gateway that does not echo COOKIE2, or refuses, is left for a new IKE_SA.
func TestRoamFails(t *testing.T) {
	for name, edit := range map[string]func([]message.Payload) []message.Payload{
		"no cookie": func(ps []message.Payload) []message.Payload { return ps[:2] },
		"other cookie": func(ps []message.Payload) []message.Payload {
			return append(ps[:2], notify(message.Cookie2, make([]byte, 16)))
		},
		"refused": func([]message.Payload) []message.Payload {
			return []message.Payload{notify(message.UnacceptableAddresses, nil)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := mobile(t)
			answerUpdate(t, n, n.m.Roam(n.now, roamed, netip.AddrPort{}).Packets[0], edit)
			_, moved := event[Moved](n)
			require.False(t, moved)
			_, again := event[ReauthDue](n)
			require.True(t, again)
			require.False(t, n.m.Done())
		})
	}
}

func TestRoamWithoutMOBIKE(t *testing.T) {
	n := up(t, nil)
	n.run(n.m.Roam(n.now, roamed, netip.AddrPort{}))
	_, again := event[ReauthDue](n)
	require.True(t, again)
}

func TestRoamWhileConnecting(t *testing.T) {
	n := newNetwork(t, nil)
	n.m.Start(n.now)
	n.run(n.m.Roam(n.now, roamed, netip.AddrPort{}))
	require.ErrorIs(t, n.failure(), ErrMoved)
}

// Where the gateway's address does not answer any more its other one is tried.
func TestOtherAddressOfTheGateway(t *testing.T) {
	n := mobile(t)
	n.drop = func(bool, int, []byte) bool { return true }
	n.m.cfg.Timers.DPDDelay = time.Minute
	for range 8 {
		require.True(t, n.wait())
	}
	require.Equal(t, "192.168.0.2", n.sent[len(n.sent)-1].To.Addr().String())
}

func TestRedirects(t *testing.T) {
	to := func(nonce []byte) []byte {
		return append([]byte{3, 15}, append([]byte("sun.example.org"), nonce...)...)
	}
	follow := func(c *Config, _ *responder, _ *fakeEAP) { c.Redirects.Follow = true }
	var r *RedirectError

	n := newNetwork(t, nil)
	n.m.cfg.Redirects.Follow = true
	n.r.editInit = func(m *message.Message) { m.Payloads = []message.Payload{notify(message.Redirect, to(n.m.init.ni))} }
	n.start()
	require.ErrorAs(t, n.failure(), &r)
	require.Equal(t, "sun.example.org", r.To)

	n = newNetwork(t, follow)
	n.r.editInit = func(m *message.Message) {
		m.Payloads = []message.Payload{notify(message.Redirect, to(make([]byte, 32)))}
	}
	n.start()
	require.False(t, n.m.Done(), "a forged REDIRECT is dropped")
	require.Contains(t, n.r.seen[0], "N(REDIR_SUP)")

	n = up(t, follow)
	n.fromGateway(n.r.request(message.Informational, notify(message.Redirect, to(nil))))
	require.ErrorAs(t, n.failure(), &r)
	require.Contains(t, n.r.seen[len(n.r.seen)-1], "[ D ]", "the old IKE_SA is deleted")

	n = up(t, nil)
	n.fromGateway(n.r.request(message.Informational, notify(message.Redirect, to(nil))))
	require.False(t, n.m.Done(), "not announced, not followed")

	n = newNetwork(t, func(c *Config, r *responder, e *fakeEAP) { c.Redirects.From = netip.MustParseAddr("192.0.2.9") })
	n.start()
	require.Contains(t, n.r.seen[0], "N(REDIR_FROM)")
	for _, bad := range [][]byte{nil, {1}, {1, 4, 0, 0, 0, 0}, {3, 3, 'a', ';', 'b'}, {9, 1, 1}, {2, 4, 1, 2, 3, 4}} {
		_, _, err := parseRedirect(bad)
		require.Error(t, err, "%v", bad)
	}
}
