package xfrm

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// The kernel's policies let in what the traffic selectors say, and no other
// port: it checks nothing else (RFC 4301 §5.2).
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
		require.Equal(t, c.want, blocks(esp.Selector{FromPort: c.from, ToPort: c.to}), "%d-%d", c.from, c.to)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
		bs := blocks(esp.Selector{FromPort: min(a, b), ToPort: max(a, b)})
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
	p := &Plane{log: log.Discard(), send: k.send, reqID: reqIDOf("home"), states: map[uint32][]State{}, waiting: map[uint32]Child{}}
	c := child(t, 0xc0000001)
	c.LocalTS[0].Protocol = 6
	c.RemoteTS[0].FromPort, c.RemoteTS[0].ToPort = 8080, 8082
	require.NoError(t, p.Install(c))
	require.Len(t, p.policies, 6)
	in := p.policies[0]
	require.Equal(t, []uint16{8080, 0xfffe, 0, 0}, []uint16{in.SrcPort, in.SrcMask, in.DstPort, in.DstMask})
	c.RemoteTS[0].Protocol = 17
	p.policies = nil
	require.NoError(t, p.pair(c, c.LocalTS[0], c.RemoteTS[0]))
	require.Empty(t, p.policies)
}
