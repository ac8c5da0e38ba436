package tun

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
)

func TestPlane(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		cc, gw := childPair(t, "aes128gcm16", childSPI, 1)
		answering := newPingGateway(gw)
		sock := answering.sock
		p := newPlane(t, dataplane.Config{Device: "tnctest%d"}, sock)
		require.Equal(t, dataplane.Info{Kind: dataplane.TUN, Carries: true, UDPOnly: true}, p.Info())
		require.NoError(t, p.Install(cc, false))
		require.Equal(t, make([]byte, len(cc.Keys.Ei)), cc.Keys.Ei, "the keys are zeroed")
		require.Equal(t, "tnctest0", p.Info().Device)
		after := strings.Join(snapshot(t), "\n")
		require.Contains(t, after, "addr 10.3.0.1/32")
		require.Contains(t, after, "Dst: 10.1.0.0/16 Src: 10.3.0.1")
		require.Contains(t, after, "rule 2 ip rule 220: from all to 192.168.0.1/32 table 220  not=true")

		fd, in := rawSockets(t)
		defer unix.Close(fd)
		defer unix.Close(in)
		for i := range 5 {
			b := ping(t, "10.3.0.1", "10.1.0.1", 100*i)
			require.NoError(t, unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}))
			e := recvEcho(t, in)
			require.Equal(t, "10.1.0.1", e.Src.String())
			require.Len(t, e.Data, 100*i)
		}
		s := p.Stats()
		require.GreaterOrEqual(t, s.InPackets, uint64(5))
		require.GreaterOrEqual(t, sock.AliveCalls.Load(), int32(5))

		// rekeying: the new SA sends, the old one still receives
		cc2, gw2 := childPair(t, "aes128-sha256", 0xc1000001, 2)
		old, err := gw.Seal(nil, ping(t, "10.1.0.1", "10.3.0.1", 1))
		require.NoError(t, err)
		answering.use(gw2)
		// a packet of the new SA that comes before it is installed waits for it
		soon, err := gw2.Seal(nil, ping(t, "10.1.0.1", "10.3.0.1", 1))
		require.NoError(t, err)
		received := p.Stats().InPackets
		sock.Deliver(soon)
		require.EqualValues(t, 1, p.Stats().Unknown)
		require.NoError(t, p.Install(cc2, false))
		require.Equal(t, received+1, p.Stats().InPackets)
		require.Zero(t, p.Stats().Unknown)
		require.ErrorContains(t, p.Install(mustChild(t, 0xc1000001), false), "is in use")
		n := p.Stats().InPackets
		sock.Deliver(old)
		require.Equal(t, n+1, p.Stats().InPackets)
		one, ok := p.ChildStats(childSPI)
		require.True(t, ok)
		require.GreaterOrEqual(t, one.InPackets, uint64(6))
		require.NoError(t, p.Remove(childSPI))
		_, ok = p.ChildStats(childSPI)
		require.False(t, ok)
		require.NoError(t, p.Remove(childSPI))
		require.NoError(t, unix.Sendto(fd, ping(t, "10.3.0.1", "10.1.0.1", 3), 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}))
		require.Len(t, recvEcho(t, in).Data, 3)
		sock.Deliver([]byte{1, 2, 3})
		sock.Deliver(old)
		s = p.Stats()
		require.EqualValues(t, 1, s.Malformed)
		require.EqualValues(t, 1, s.Unknown)
		require.Greater(t, s.InPackets, n+1, "removed SAs still count")

		dev := p.dev
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		require.NoError(t, dev.close())
		<-dev.done
		require.Nil(t, dev.failure.Load())
		require.ErrorIs(t, dev.install(mustChild(t, 0xc1000009), 0, false), esp.ErrClosed)
		sock.Deliver(old)
		require.Equal(t, before, snapshot(t), "nothing is left behind")
	})
}

// Everything goes into the tunnel but what is for the gateway's port.
func TestTheGatewayStaysOutside(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "va"}, PeerName: "vb"}))
		for _, name := range []string{"va", "vb"} {
			l, err := netlink.LinkByName(name)
			require.NoError(t, err)
			require.NoError(t, netlink.LinkSetUp(l))
		}
		va, err := netlink.LinkByName("va")
		require.NoError(t, err)
		outer, _ := netlink.ParseAddr("192.0.2.2/24")
		require.NoError(t, netlink.AddrAdd(va, outer))
		before := snapshot(t)

		cc := mustChild(t, childSPI)
		cc.LocalTS = []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("192.0.2.2/32"))}
		cc.RemoteTS = []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0"))}
		cc.Local, cc.Remote, cc.Internal = netip.MustParseAddrPort("192.0.2.2:4500"), netip.MustParseAddrPort("192.0.2.1:4500"), ike.Internal{}
		p := newPlane(t, dataplane.Config{}, dataplanetest.NewSocket(nil))
		require.NoError(t, p.Install(cc, false))
		defer p.Close()
		require.True(t, strings.HasPrefix(p.Info().Device, "ipsec"))
		send := func(to string) uint64 {
			n := p.Stats().OutPackets
			c, err := net.Dial("udp4", to)
			require.NoError(t, err)
			defer c.Close()
			_, _ = c.Write([]byte("x"))
			for range 20 {
				if p.Stats().OutPackets > n {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			return p.Stats().OutPackets - n
		}
		require.EqualValues(t, 1, send("198.51.100.1:53"))
		require.EqualValues(t, 1, send("192.0.2.1:53"))
		require.EqualValues(t, 0, send("192.0.2.1:4500"), "ESP and IKE do not enter the tunnel")
		require.Zero(t, p.Stats().Refused, "the kernel adds nothing of its own")
		require.NoError(t, p.Close())
		require.Equal(t, before, snapshot(t))
	})
}

func TestFailuresLeaveNothing(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		base := func() (dataplane.Config, *ike.ChildSA) {
			cc := mustChild(t, childSPI)
			cc.Internal = ike.Internal{}
			return dataplane.Config{Device: "tnctest0"}, cc
		}
		install := func(cfg dataplane.Config, cc *ike.ChildSA) (*plane, error) {
			p := newPlane(t, cfg, dataplanetest.NewSocket(nil))
			return p, p.Install(cc, false)
		}
		for want, edit := range map[string]func(*dataplane.Config, *ike.ChildSA){
			"device name":                     func(c *dataplane.Config, _ *ike.ChildSA) { c.Device = "a/b" },
			"MTU 100":                         func(c *dataplane.Config, _ *ike.ChildSA) { c.MTU = 100 },
			"the CHILD_SA has no keys":        func(_ *dataplane.Config, cc *ike.ChildSA) { cc.Keys = nil },
			"does not take ESP in UDP, which": func(_ *dataplane.Config, cc *ike.ChildSA) { cc.Encap = false },
			"install virtual IP": func(_ *dataplane.Config, cc *ike.ChildSA) {
				one := netip.MustParsePrefix("10.3.0.1/32")
				cc.Internal.Addresses = []netip.Prefix{one, one}
			},
		} {
			c, cc := base()
			edit(&c, cc)
			_, err := install(c, cc)
			require.ErrorContains(t, err, want)
			require.Equal(t, before, snapshot(t), want)
		}
		_, cc := base()
		require.ErrorIs(t, New(dataplane.Config{}).Install(cc, false), dataplane.ErrNoSocket)
		p, err := install(base())
		require.NoError(t, err)
		_, err = install(base())
		require.ErrorContains(t, err, "a device of that name exists")
		c, cc := base()
		c.Device = ""
		_, err = install(c, cc)
		require.ErrorContains(t, err, "does another VPN client run?")
		require.NoError(t, p.Close())
		require.Equal(t, before, snapshot(t))

		// a rule that is there already stays
		r := netlink.NewRule()
		r.Table, r.Priority, r.Family = 220, 220, unix.AF_INET
		require.NoError(t, netlink.RuleAdd(r))
		with := snapshot(t)
		c, cc = base()
		cc.Remote = netip.AddrPort{}
		p, err = install(c, cc)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		require.Equal(t, with, snapshot(t))

		// the device is taken away
		p, err = install(base())
		require.NoError(t, err)
		dev := p.dev
		l, err := netlink.LinkByName(p.Info().Device)
		require.NoError(t, err)
		require.NoError(t, netlink.LinkDel(l))
		select {
		case <-dev.done:
			require.ErrorContains(t, *dev.failure.Load(), "is gone")
		case <-time.After(5 * time.Second):
			t.Error("the plane does not notice that its device is gone")
		}
		require.NoError(t, p.Close())
	})
}

func TestConforms(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		dataplanetest.Conform(t, New(dataplane.Config{Device: "tnctest%d"}))
		require.Equal(t, before, snapshot(t))
	})
}

// What a killed process leaves, by its Leftovers.
func TestRemoveLeftovers(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		p := newPlane(t, dataplane.Config{Device: "tnctest%d"}, dataplanetest.NewSocket(nil))
		cc := mustChild(t, childSPI)
		l := p.Leftovers(cc)
		require.NoError(t, p.Install(cc, false))
		p.dev.net.undo = nil // as after SIGKILL, but for the device
		require.NoError(t, p.Close())
		require.NotEqual(t, before, snapshot(t), "the rules stay")
		require.NoError(t, dataplane.RemoveLeftovers(l, Backend()))
		require.Equal(t, before, snapshot(t))
		require.NoError(t, dataplane.RemoveLeftovers(l, Backend()), "nothing to remove is no error")
	})
}
