package message

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrefixes(t *testing.T) {
	for r, want := range map[[2]string]string{
		{"10.1.0.0", "10.1.0.15"}:              "[10.1.0.0/28]",
		{"10.0.0.1", "10.0.0.6"}:               "[10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32]",
		{"0.0.0.0", "255.255.255.255"}:         "[0.0.0.0/0]",
		{"255.255.255.254", "255.255.255.255"}: "[255.255.255.254/31]",
		{"2001:db8::", "2001:db8::1"}:          "[2001:db8::/127]",
	} {
		s := TrafficSelector{Start: netip.MustParseAddr(r[0]), End: netip.MustParseAddr(r[1])}
		require.Equal(t, want, fmt.Sprint(s.Prefixes()))
		require.True(t, s.ContainsAddr(s.Start))
		require.True(t, s.ContainsAddr(s.End))
		require.False(t, s.ContainsAddr(netip.MustParseAddr("2001:db8::2")))
		require.False(t, s.ContainsAddr(netip.Addr{}))
	}
	s := TrafficSelector{Start: netip.MustParseAddr("::1"), End: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")}
	require.Len(t, s.Prefixes(), 254)
	require.Nil(t, TrafficSelector{}.Prefixes())
}
