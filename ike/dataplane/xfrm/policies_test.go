package xfrm

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/ike"
)

// The kernel's policies let in what the traffic selectors say, and no other
// port: it checks nothing else (RFC 4301 section 5.2).
func TestPortsOfPolicies(t *testing.T) {
	for _, c := range []struct {
		from, to uint16
		want     []block
	}{
		{0, 65535, []block{{}}},
		{65535, 0, []block{{}}},
		{443, 443, []block{{443, 0xffff}}},
		{0, 0, []block{{0, 0xffff}}},
		{0, 1023, []block{{0, 0xfc00}}},
		{5000, 5003, []block{{5000, 0xfffc}}},
		{5001, 5006, []block{{5001, 0xffff}, {5002, 0xfffe}, {5004, 0xfffe}, {5006, 0xffff}}},
	} {
		require.Equal(t, c.want, blocks(ike.TrafficSelector{StartPort: c.from, EndPort: c.to}), "%d-%d", c.from, c.to)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
		bs := blocks(ike.TrafficSelector{StartPort: min(a, b), EndPort: max(a, b)})
		require.LessOrEqual(t, len(bs), 30)
		n := 0
		for _, b := range bs {
			n += 1 << bits.OnesCount16(^b.mask)
		}
		require.Equal(t, int(max(a, b))-int(min(a, b))+1, n, "each port once")
		port := rapid.Uint16().Draw(t, "port")
		in := false
		for _, b := range bs {
			in = in || port&b.mask == b.port
		}
		require.Equal(t, port >= min(a, b) && port <= max(a, b), in)
	})
}

func TestPoliciesOfARangeOfPorts(t *testing.T) {
	k := &fakeKernel{}
	d := testDatabases(k)
	c := child(0xc0000001)
	c.localTS[0].Protocol = 6
	c.remoteTS[0].StartPort, c.remoteTS[0].EndPort = 8080, 8082
	require.NoError(t, d.install(c, false))
	require.Len(t, d.policies, 6)
	in := d.policies[0]
	require.Equal(t, []uint16{8080, 0xfffe, 0, 0}, []uint16{in.SrcPort, in.SrcMask, in.DstPort, in.DstMask})
	c.remoteTS[0].Protocol = 17
	d.policies = nil
	require.NoError(t, d.pair(c, c.localTS[0], c.remoteTS[0]))
	require.Empty(t, d.policies)
}
