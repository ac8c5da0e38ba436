package memory

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
)

func ping(t *testing.T, src, dst string) []byte {
	t.Helper()
	b, err := esp.Echo{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Data: make([]byte, 10)}.Append(nil)
	require.NoError(t, err)
	return b
}

// end is a plane with what it received.
type end struct {
	*Plane
	sock *dataplanetest.Socket
	got  [][]byte
}

func ends(t *testing.T, cfg dataplane.Config) (client, gateway *end) {
	t.Helper()
	a, b := dataplanetest.NewSockets()
	newEnd := func(cfg dataplane.Config, s *dataplanetest.Socket) *end {
		e := &end{sock: s}
		e.Plane = New(cfg, func(packet []byte) { e.got = append(e.got, bytes.Clone(packet)) })
		require.NoError(t, e.Attach(s))
		return e
	}
	return newEnd(cfg, a), newEnd(dataplane.Config{}, b)
}

func TestConforms(t *testing.T) { dataplanetest.Conform(t, New(dataplane.Config{}, nil)) }

// Two planes through a rekeying that the gateway began: the client sends on the
// old CHILD_SA until the new one carries a packet.
func TestRekeying(t *testing.T) {
	c, g := ends(t, dataplane.Config{})
	one, oneG := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	require.NoError(t, c.Install(one, false))
	require.NoError(t, g.Install(oneG, false))
	out, in := ping(t, "10.3.0.1", "10.1.0.1"), ping(t, "10.1.0.1", "10.3.0.1")
	require.NoError(t, c.Send(out))
	require.Equal(t, [][]byte{out}, g.got)

	two, twoG := dataplanetest.Children("aes256gcm16", 0xc0000011, 0xc0000012, 2)
	require.NoError(t, c.Install(two, true))
	require.NoError(t, c.Send(out))
	s, ok := c.ChildStats(0xc0000001)
	require.True(t, ok)
	require.EqualValues(t, 2, s.OutPackets, "the old one sends")
	require.NoError(t, g.Install(twoG, false))
	require.NoError(t, g.Send(in))
	require.Equal(t, [][]byte{in}, c.got)
	require.NoError(t, c.Send(out))
	s, _ = c.ChildStats(0xc0000011)
	require.EqualValues(t, 1, s.OutPackets, "the peer used the new one")
	require.NoError(t, c.Remove(0xc0000001))
	require.EqualValues(t, 3, c.Stats().OutPackets, "removed ones still count")
	require.EqualValues(t, 1, c.sock.AliveCalls.Load())
	require.ErrorIs(t, c.Send(ping(t, "10.3.0.1", "10.9.0.1")), esp.ErrSelector)
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Send(out), ErrNoChild)
}

// A gateway may send before its CHILD_SA is installed here.
func TestEarlyPackets(t *testing.T) {
	c, g := ends(t, dataplane.Config{})
	one, oneG := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	two, twoG := dataplanetest.Children("aes128gcm16", 0xc0000011, 0xc0000012, 2)
	require.NoError(t, c.Install(one, false))
	require.NoError(t, g.Install(oneG, false))
	require.NoError(t, g.Install(twoG, false))
	in := ping(t, "10.1.0.1", "10.3.0.1")
	require.NoError(t, g.Send(in))
	require.Empty(t, c.got)
	require.EqualValues(t, 1, c.Stats().Unknown)
	require.NoError(t, c.Install(two, false))
	require.Equal(t, [][]byte{in}, c.got)
	require.Zero(t, c.Stats().Unknown)
}

func TestTrapAndErrors(t *testing.T) {
	acquired := 0
	c, _ := ends(t, dataplane.Config{Acquire: func(ike.Trigger) bool { acquired++; return true }})
	one, _ := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	require.NoError(t, c.Trap(one))
	require.ErrorIs(t, c.Send(ping(t, "10.3.0.1", "10.9.0.1")), ErrNoChild)
	require.Zero(t, acquired)
	require.ErrorIs(t, c.Send(ping(t, "10.3.0.1", "10.1.0.1")), ErrNoChild)
	require.Equal(t, 1, acquired)

	bare := *one
	bare.Encap = false
	require.ErrorIs(t, c.Install(&bare, false), dataplane.ErrUDP)
	one, _ = dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	require.ErrorIs(t, New(dataplane.Config{}, nil).Install(one, false), dataplane.ErrNoSocket)
	require.Equal(t, make([]byte, len(one.Keys.Ei)), one.Keys.Ei)
}

// The local address of a selector follows the outer address.
func TestMove(t *testing.T) {
	c, _ := ends(t, dataplane.Config{})
	one, _ := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	one.LocalTS = []ike.TrafficSelector{message.SelectorFromAddr(one.Local.Addr())}
	require.NoError(t, c.Install(one, false))
	require.NoError(t, c.Send(ping(t, "192.168.0.100", "10.1.0.1")))
	to := netip.MustParseAddrPort("192.168.0.7:4500")
	require.NoError(t, c.Move(ike.Moved{Path: ike.Path{Local: to, Remote: one.Remote}}))
	require.NoError(t, c.Send(ping(t, "192.168.0.7", "10.1.0.1")))
	require.ErrorIs(t, c.Send(ping(t, "192.168.0.100", "10.1.0.1")), esp.ErrSelector)
}
