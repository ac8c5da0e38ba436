package message

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func prefix(s string) TrafficSelector { return SelectorFromPrefix(netip.MustParsePrefix(s)) }

func TestTS(t *testing.T) {
	vector(t, TypeTSi, "02 000000 07 00 0010 0000 ffff 0a010000 0a01ffff 07 06 0010 0050 0050 0a030001 0a030009",
		&TSi{[]TrafficSelector{
			prefix("10.1.0.0/16"),
			{TSType: TSIPv4Range, Protocol: 6, StartPort: 80, EndPort: 80, Start: netip.MustParseAddr("10.3.0.1"), End: netip.MustParseAddr("10.3.0.9")},
		}})
	vector(t, TypeTSr, "01 000000 08 00 0028 0000 ffff 00000000000000000000000000000000 ffffffffffffffffffffffffffffffff",
		&TSr{[]TrafficSelector{prefix("::/0")}})
	vector(t, TypeTSr, "01 000000 09 00 0006 aabb", &TSr{[]TrafficSelector{{TSType: 9, Raw: []byte{0xaa, 0xbb}}}})
	refused(t, TypeTSi, "00 000000")
	refused(t, TypeTSi, "01 000000 09 00 0003")
	refused(t, TypeTSi, "01 000000 07 00 0011 0000 ffff 0a010000 0a01ffff 00")
	refused(t, TypeTSi, "01 000000 07 00 0010 0000 ffff 0a020000 0a01ffff")
	refused(t, TypeTSi, "02 000000 07 00 0010 0000 ffff 0a010000 0a01ffff")
	_, err := (&TSi{[]TrafficSelector{{TSType: TSIPv4Range, Start: netip.MustParseAddr("::"), End: netip.MustParseAddr("::")}}}).AppendBody(nil)
	require.Error(t, err)
}

func TestSelectors(t *testing.T) {
	for _, s := range []string{"0.0.0.0/0", "10.1.0.0/16", "10.1.2.3/32", "::/0", "fec0::/10", "fec0::1/128", "10.0.0.128/25"} {
		v := prefix(s)
		require.Equal(t, s, v.String())
		p, ok := v.Prefix()
		require.True(t, ok)
		require.Equal(t, netip.MustParsePrefix(s), p)
	}
	require.Equal(t, "10.0.0.1/32", SelectorFromAddr(netip.MustParseAddr("::ffff:10.0.0.1")).String())
	all, net, host := prefix("0.0.0.0/0"), prefix("10.1.0.0/16"), prefix("10.1.2.3/32")
	require.True(t, all.Contains(net))
	require.True(t, net.Contains(host))
	require.False(t, host.Contains(net))
	require.False(t, all.Contains(prefix("::1/128")))
	got, ok := net.Intersect(all)
	require.True(t, ok)
	require.Equal(t, net, got)
	got, ok = all.Intersect(host)
	require.True(t, ok)
	require.Equal(t, host, got)
	_, ok = host.Intersect(prefix("10.2.0.0/16"))
	require.False(t, ok)

	web := net
	web.Protocol, web.StartPort, web.EndPort = 6, 80, 90
	require.Equal(t, "10.1.0.0/16[tcp/80-90]", web.String())
	require.True(t, net.Contains(web))
	require.False(t, web.Contains(net))
	got, ok = all.Intersect(web)
	require.True(t, ok)
	require.Equal(t, web, got)
	dns := web
	dns.Protocol = 17
	_, ok = web.Intersect(dns)
	require.False(t, ok)
	far := web
	far.StartPort, far.EndPort = 100, 200
	_, ok = web.Intersect(far)
	require.False(t, ok)
	opaque := net
	opaque.StartPort, opaque.EndPort = 65535, 0
	require.Equal(t, "10.1.0.0/16[0/OPAQUE]", opaque.String())
	got, ok = opaque.Intersect(all)
	require.True(t, ok)
	require.Equal(t, opaque, got)
	odd := TrafficSelector{TSType: TSIPv4Range, EndPort: 65535, Start: netip.MustParseAddr("10.0.0.1"), End: netip.MustParseAddr("10.0.0.9")}
	require.Equal(t, "10.0.0.1..10.0.0.9", odd.String())
	_, ok = odd.Prefix()
	require.False(t, ok)
	ping := net // as strongSwan: type, and the code where it is not 0
	for want, ports := range map[string][2]uint16{"icmp/8": {8 << 8, 8 << 8}, "icmp/3(1)": {3<<8 | 1, 3<<8 | 1}, "icmp/3-3(255)": {3 << 8, 3<<8 | 255}, "icmp": {0, 65535}} {
		ping.Protocol, ping.StartPort, ping.EndPort = 1, ports[0], ports[1]
		require.Equal(t, "10.1.0.0/16["+want+"]", ping.String())
	}
	require.Equal(t, "TS_TYPE_9", TrafficSelector{TSType: 9}.String())
}
