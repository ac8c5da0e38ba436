package esp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func TestSelectorsHold(t *testing.T) {
	c, g := pair(t, "aes128gcm16")
	for _, p := range [][2]string{{"10.4.0.1", "10.1.0.1"}, {"10.3.0.1", "10.2.0.1"}, {"2001:db8:4::1", "2001:db8:1::1"}} {
		_, err := c.Seal(nil, ping(t, p[0], p[1], 1))
		require.ErrorIs(t, err, ErrSelector)
	}
	// a peer that does not hold to its own selectors
	all := selectors(netip.MustParsePrefix("0.0.0.0/0"))
	g.local.Store(&all)
	g.remote = all
	for _, p := range [][2]string{{"10.2.0.1", "10.3.0.1"}, {"10.1.0.1", "10.9.0.1"}} {
		pkt, err := g.Seal(nil, ping(t, p[0], p[1], 1))
		require.NoError(t, err)
		_, err = c.Open(pkt)
		require.ErrorIs(t, err, ErrSelector)
	}
	require.EqualValues(t, 2, c.Stats().Authentic)
	require.EqualValues(t, 5, c.Stats().Refused)
	require.Contains(t, c.Stats().String(), "dropped 5")
}

func TestSelectorPorts(t *testing.T) {
	udp := func(frag uint16) *flow {
		p := []byte{0x45, 0, 0, 28, 0, 0, byte(frag >> 8), byte(frag), 64, 17, 0, 0, 10, 3, 0, 1, 10, 1, 0, 1, 0x10, 0, 0, 53, 0, 8, 0, 0}
		_, f, err := parseIP(p)
		require.NoError(t, err)
		return &f
	}
	a := netip.MustParseAddr("10.1.0.1")
	s := message.SelectorFromPrefix(gwNet)
	require.True(t, matches(&s, a, udp(0), 53))
	s.Protocol = 6
	require.False(t, matches(&s, a, udp(0), 53))
	s.Protocol, s.StartPort, s.EndPort = 17, 50, 53
	require.True(t, matches(&s, a, udp(0), 53))
	require.False(t, matches(&s, a, udp(0), 54))
	require.False(t, matches(&s, a, udp(5), 53), "a fragment has no ports")
	s.StartPort, s.EndPort = 65535, 0
	require.True(t, matches(&s, a, udp(5), 0), "OPAQUE")
	require.False(t, matches(&s, a, udp(0), 53))
	require.False(t, matches(&s, netip.MustParseAddr("::1"), udp(0), 53))
}
