package gateway

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func echoRequest4(src, dst string, data []byte) []byte {
	p := make([]byte, ipv4Header+icmpHeader, ipv4Header+icmpHeader+len(data))
	p[0], p[8], p[9] = 0x45, 64, protoICMP
	binary.BigEndian.PutUint16(p[2:], uint16(cap(p)))
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(p[12:], s[:])
	copy(p[16:], d[:])
	p[20] = 8
	binary.BigEndian.PutUint16(p[24:], 7)
	binary.BigEndian.PutUint16(p[26:], 1)
	p = append(p, data...)
	binary.BigEndian.PutUint16(p[10:], checksum(0, p[:ipv4Header]))
	binary.BigEndian.PutUint16(p[22:], checksum(0, p[ipv4Header:]))
	return p
}

func echoRequest6(src, dst string, data []byte) []byte {
	p := make([]byte, ipv6Header+icmpHeader)
	p[0], p[6], p[7] = 0x60, protoICMPv6, 64
	binary.BigEndian.PutUint16(p[4:], uint16(icmpHeader+len(data)))
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	copy(p[8:], s.AsSlice())
	copy(p[24:], d.AsSlice())
	p[40] = 128
	p = append(p, data...)
	binary.BigEndian.PutUint16(p[42:], checksum(pseudo6(s, d, icmpHeader+len(data)), p[40:]))
	return p
}

func TestEchoReplyAnswersPings(t *testing.T) {
	for _, req := range [][]byte{
		echoRequest4("10.3.0.2", "10.1.0.1", []byte("odd")),
		echoRequest6("fec0::2", "fec0::1", []byte("even")),
	} {
		r, ok := echoReply(req)
		require.True(t, ok)
		require.Len(t, r, len(req))
		src, dst, _ := packetAddrs(req)
		rs, rd, ok := packetAddrs(r)
		require.True(t, ok)
		require.Equal(t, src, rd)
		require.Equal(t, dst, rs)
		if src.Is4() {
			require.Zero(t, checksum(0, r[:20]))
			require.Zero(t, checksum(0, r[20:]))
			require.Zero(t, r[20])
			require.Equal(t, req[24:], r[24:])
		} else {
			require.Zero(t, checksum(pseudo6(rs, rd, len(r)-40), r[40:]))
			require.EqualValues(t, 129, r[40])
		}
		_, ok = echoReply(r)
		require.False(t, ok, "a reply is not answered")
		for i := range req {
			_, ok := echoReply(req[:i])
			require.False(t, ok, "truncated to %d", i)
		}
		req[len(req)-1] ^= 1
		_, ok = echoReply(req)
		require.False(t, ok, "checksum")
	}
}

func TestPoolLeasesEachAddressOnce(t *testing.T) {
	p := newPool(netip.MustParsePrefix("10.3.0.0/29"))
	wanted := netip.MustParseAddr("10.3.0.5")
	a, ok := p.lease(wanted, "carol")
	require.True(t, ok)
	require.Equal(t, wanted, a)
	var got []string
	for {
		a, ok := p.lease(netip.Addr{}, "dave")
		if !ok {
			break
		}
		got = append(got, a.String())
	}
	require.Equal(t, []string{"10.3.0.2", "10.3.0.3", "10.3.0.4", "10.3.0.6"}, got)
	p.release(wanted)
	a, ok = p.lease(netip.MustParseAddr("10.3.0.7"), "dave")
	require.True(t, ok, "the broadcast address is not leased")
	require.Equal(t, wanted, a)
	a, ok = newPool(netip.MustParsePrefix("fec0::/64")).lease(netip.MustParseAddr("10.3.0.5"), "carol")
	require.True(t, ok)
	require.Equal(t, "fec0::2", a.String())
}

// A client that replaces its IKE_SA keeps the address; others do not get it.
func TestPoolGivesAnAddressTwiceToItsOwner(t *testing.T) {
	p := newPool(netip.MustParsePrefix("10.3.0.0/29"))
	wanted := netip.MustParseAddr("10.3.0.4")
	for _, c := range []struct {
		owner string
		same  bool
	}{{"carol", true}, {"carol", true}, {"dave", false}} {
		a, ok := p.lease(wanted, c.owner)
		require.True(t, ok)
		require.Equal(t, c.same, a == wanted)
	}
	p.release(wanted)
	a, ok := p.lease(wanted, "eve")
	require.True(t, ok)
	require.NotEqual(t, wanted, a, "carol's new IKE_SA has it")
	p.release(wanted)
	a, _ = p.lease(wanted, "eve")
	require.Equal(t, wanted, a)
}
