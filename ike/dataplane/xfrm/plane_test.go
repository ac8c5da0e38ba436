package xfrm

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/esp"
)

// onFake returns a plane on a kernel that records, and whose databases count.
func onFake(cfg dataplane.Config, k *fakeKernel) *plane {
	p := New(cfg).(*plane)
	p.openDB = func(cfg dataplane.Config, addresses []netip.Addr) (*databases, error) {
		d := newDatabases(cfg, k.send)
		d.addresses = addresses
		d.usage = func(s xfrmState) usage { return usage{packets: 1, bytes: 100} }
		return d, nil
	}
	return p
}

func TestConforms(t *testing.T) {
	k := &fakeKernel{}
	dataplanetest.Conform(t, onFake(dataplane.Config{Name: "home"}, k))
	require.NotEmpty(t, k.kinds)
}

// What the kernel counts is told to the IKE_SA, once.
func TestTell(t *testing.T) {
	p := onFake(dataplane.Config{Name: "home"}, &fakeKernel{})
	sock := dataplanetest.NewSocket(nil)
	require.NoError(t, p.Attach(sock))
	before := p.tell(esp.Stats{})
	require.Zero(t, before, "nothing is installed")
	child, _ := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	require.NoError(t, p.Install(child, false))
	in := uint64(0)
	p.db.usage = func(s xfrmState) usage {
		if s.SPI == 0xc0000001 {
			return usage{packets: in}
		}
		return usage{packets: 5}
	}
	said := func(sent, alive int32) {
		t.Helper()
		before = p.tell(before)
		require.Equal(t, []int32{sent, alive}, []int32{sock.SentCalls.Load(), sock.AliveCalls.Load()})
	}
	said(1, 0)
	said(1, 0)
	in = 2
	said(1, 1)
	said(1, 1)
	require.NoError(t, p.Close())
	said(1, 1)
}

func TestPlane(t *testing.T) {
	k := &fakeKernel{}
	p := onFake(dataplane.Config{Name: "home", Children: map[string]dataplane.ChildConfig{"home": {MarkIn: dataplane.Mark{Value: 7, Mask: 0xff}, NoReplayWindow: true}}}, k)
	child, _ := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	require.ErrorIs(t, p.Install(child, false), dataplane.ErrNoSocket)
	sock := dataplanetest.NewSocket(nil)
	require.NoError(t, p.Attach(sock))
	require.EqualValues(t, 1, sock.BypassCalls.Load())
	child, _ = dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	require.NoError(t, p.Install(child, false))
	require.EqualValues(t, 1, sock.KernelESPCalls.Load())
	require.Equal(t, dataplane.VirtualIPs(child), p.db.addresses)
	in := p.db.states[0xc0000001][0]
	require.Equal(t, dataplane.Mark{Value: 7, Mask: 0xff}, in.Mark)
	require.Zero(t, in.ReplayWindow)
	require.Equal(t, defaultReplayWindow, entry{}.replayWindow())
	s, ok := p.ChildStats(0xc0000001)
	require.True(t, ok)
	require.EqualValues(t, 100, s.InBytes)
	require.EqualValues(t, 1, p.Stats().OutPackets)
	require.ErrorIs(t, p.Move(ike.Moved{}), dataplane.ErrRekey)
	require.ErrorContains(t, p.Trap(child), "carries a connection already")
	require.NoError(t, p.Close())
	require.NoError(t, p.Trap(child), "after Close")
	require.NoError(t, p.Close())

	l := p.Leftovers(child)
	require.Equal(t, dataplane.Leftovers{
		Kind: dataplane.XFRM, Name: "home", Gateway: child.Remote, Table: 220, Priority: 220, Addresses: dataplane.VirtualIPs(child),
		Routes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8:1::/64")},
	}, l)
	child.Keys = nil
	require.ErrorContains(t, p.Install(child, false), "no keys")
}
