package ike

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// behindNAT is a network whose gateway is behind a NAT; we are where client says so.
func behindNAT(t *testing.T, client bool, edit func(*Config, *responder, *fakeEAP)) *network {
	n := newNetwork(t, func(c *Config, r *responder, e *fakeEAP) {
		c.ForceEncap = true // user-space ESP: it says that we are behind a NAT, which is not so
		r.natClient, r.natGateway = client, true
		if edit != nil {
			edit(c, r, e)
		}
	})
	n.start()
	n.established()
	require.True(t, n.m.Path().NATRemote)
	n.events = nil
	return n
}

// from delivers messages of the gateway from an address.
func (n *network) from(at netip.AddrPort, bs [][]byte) (out Outputs) {
	for _, b := range bs {
		o := n.m.Handle(n.now, Datagram{From: at, To: n.m.Path().Local, Data: b})
		out.Packets, out.Events = append(out.Packets, o.Packets...), append(out.Events, o.Events...)
	}
	return out
}

// A gateway behind a NAT that forgets its mapping is followed, from authentic messages
// only.
func TestGatewayBehindNATIsFollowed(t *testing.T) {
	n := behindNAT(t, false, nil)
	before := n.m.Path().Remote
	other := netip.AddrPortFrom(before.Addr(), 62000)
	request := n.r.request(message.Informational)
	forged := append([]byte(nil), request[0]...)
	forged[len(forged)-1] ^= 1
	n.from(other, [][]byte{forged})
	require.Equal(t, before, n.m.Path().Remote)

	out := n.from(other, request)
	require.Equal(t, other, out.Packets[0].To, "the answer goes there too")
	require.Equal(t, []Event{Moved{Path: n.m.Path(), Encap: true}}, out.Events)
	require.Equal(t, other, n.m.Path().Remote)

	// A repetition, which anybody could have recorded, moves nothing; its answer goes
	// where it came from.
	third := netip.MustParseAddrPort("203.0.113.5:4500")
	out = n.from(third, request)
	require.Equal(t, third, out.Packets[0].To)
	require.Empty(t, out.Events)
	require.Equal(t, other, n.m.Path().Remote)
	n.from(third, n.r.request(message.Informational))
	require.Equal(t, third, n.m.Path().Remote, "another address too")
	n.from(netip.MustParseAddrPort("[2001:db8::1]:4500"), n.r.request(message.Informational))
	require.Equal(t, third, n.m.Path().Remote, "not to the other family")
}

// Nobody is followed by a host behind a NAT, where the gateway is not behind one, or
// with MOBIKE.
func TestGatewayIsNotFollowed(t *testing.T) {
	other := netip.MustParseAddrPort("203.0.113.5:4500")
	stays := func(n *network) {
		t.Helper()
		before := n.m.Path().Remote
		out := n.from(other, n.r.request(message.Informational))
		require.Len(t, out.Packets, 1)
		require.Equal(t, before, out.Packets[0].To)
		require.Equal(t, before, n.m.Path().Remote)
		require.Empty(t, out.Events)
	}
	stays(behindNAT(t, true, nil))
	stays(behindNAT(t, false, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editChild = func(ps []message.Payload) []message.Payload {
			return append(ps, notify(message.MOBIKESupported, nil))
		}
	}))
	n := newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) { c.ForceEncap = true })
	n.start()
	n.established()
	n.events = nil
	stays(n)
}
