package esp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread with a network namespace of its own, which
// ends with the thread: nothing can be left behind on the host.
func inNamespace(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: run the test as root")
	}
	if err := ProbeTUN(); err != nil {
		t.Skip("SKIP needs TUN devices: " + err.Error())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error("unshare: ", err)
			return
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			t.Error(err)
			return
		}
		f(t)
	}()
	<-done
}

// snapshot lists links, addresses, routes of all tables and rules.
func snapshot(t *testing.T) []string {
	t.Helper()
	var all []string
	links, err := netlink.LinkList()
	require.NoError(t, err)
	for _, l := range links {
		all = append(all, "link "+l.Attrs().Name)
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		addrs, err := netlink.AddrList(nil, family)
		require.NoError(t, err)
		for _, a := range addrs {
			all = append(all, "addr "+a.IPNet.String())
		}
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		require.NoError(t, err)
		for _, r := range routes {
			all = append(all, "route "+r.String())
		}
		rules, err := netlink.RuleList(family)
		require.NoError(t, err)
		for _, r := range rules {
			all = append(all, fmt.Sprintf("rule %d %s not=%v", family, r, r.Invert))
		}
	}
	// the kernel adds link-local ones when it likes
	all = slices.DeleteFunc(all, func(s string) bool { return strings.Contains(s, "fe80::") || strings.Contains(s, "ff00::/8") })
	slices.Sort(all)
	return all
}

func recvEcho(t *testing.T, fd int) Echo {
	t.Helper()
	buf := make([]byte, 2000)
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		require.NoError(t, err, "a reply comes")
		e, err := ParseEcho(buf[:n])
		if err == nil && e.Reply {
			return e
		}
	}
}

func TestTUNPlane(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		cc, gc := children(t, "aes128gcm16")
		gw, err := NewSA(gc)
		require.NoError(t, err)
		var p Plane
		var mu sync.Mutex
		alive := 0
		// the gateway answers pings
		answer := func(pkt []byte) error {
			mu.Lock()
			defer mu.Unlock()
			inner, err := gw.Open(slices.Clone(pkt))
			if err != nil {
				return err
			}
			e, err := ParseEcho(inner)
			if err != nil || e.Reply {
				return nil
			}
			b, err := e.Answer().Append(nil)
			if err != nil {
				return err
			}
			if pkt, err = gw.Seal(nil, b); err != nil {
				return err
			}
			p.Receive(pkt)
			return nil
		}
		ready := make(chan struct{})
		p, err = OpenTUN(Config{
			Child: cc, Device: "tnctest%d", Addresses: []netip.Addr{netip.MustParseAddr("10.3.0.1"), netip.MustParseAddr("2001:db8:3::1")},
			Local: netip.MustParseAddrPort("192.168.0.100:4500"), Gateway: netip.MustParseAddrPort("192.168.0.1:4500"),
			Send: func(pkts ...[]byte) error {
				<-ready
				for _, pkt := range pkts {
					if err := answer(pkt); err != nil {
						return err
					}
				}
				return nil
			},
			Authenticated: func() { alive++ },
		})
		require.NoError(t, err)
		close(ready)
		require.Equal(t, "tnctest0", p.Device())
		after := strings.Join(snapshot(t), "\n")
		require.Contains(t, after, "addr 10.3.0.1/32")
		require.Contains(t, after, "Dst: 10.1.0.0/16 Src: 10.3.0.1")
		require.Contains(t, after, "rule 2 ip rule 220: from all to 192.168.0.1/32 table 220  not=true")

		// raw sockets: the kernel routes into the device and gets the answers
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		require.NoError(t, err)
		defer unix.Close(fd)
		in, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		require.NoError(t, err)
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
		mu.Lock()
		require.GreaterOrEqual(t, alive, 5)
		mu.Unlock()

		// rekeying: the new SA sends, the old one still receives
		cc2, gc2 := children(t, "aes128-sha256")
		cc2.SPIIn, cc2.SPIOut, gc2.SPIIn, gc2.SPIOut = 0xc1000001, 0xc1000002, 0xc1000002, 0xc1000001
		gw2, err := NewSA(gc2)
		require.NoError(t, err)
		old, err := gw.Seal(nil, ping(t, "10.1.0.1", "10.3.0.1", 1))
		require.NoError(t, err)
		mu.Lock()
		gw = gw2
		mu.Unlock()
		// a packet of the new SA that comes before it is installed waits for it
		soon, err := gw2.Seal(nil, ping(t, "10.1.0.1", "10.3.0.1", 1))
		require.NoError(t, err)
		received := p.Stats().InPackets
		p.Receive(soon)
		require.EqualValues(t, 1, p.Stats().Unknown)
		require.NoError(t, p.Install(cc2))
		require.Equal(t, received+1, p.Stats().InPackets)
		require.Zero(t, p.Stats().Unknown)
		require.ErrorContains(t, p.Install(mustChild(t, 0xc1000001)), "is in use")
		n := p.Stats().InPackets
		p.Receive(old)
		require.Equal(t, n+1, p.Stats().InPackets)
		require.True(t, p.Remove(0xc0000001))
		require.False(t, p.Remove(0xc0000001))
		require.NoError(t, unix.Sendto(fd, ping(t, "10.3.0.1", "10.1.0.1", 3), 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}))
		require.Len(t, recvEcho(t, in).Data, 3)
		p.Receive([]byte{1, 2, 3})
		p.Receive(slices.Clone(old))
		s = p.Stats()
		require.EqualValues(t, 1, s.Malformed)
		require.EqualValues(t, 1, s.Unknown)
		require.Greater(t, s.InPackets, n+1, "removed SAs still count")

		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		<-p.Done()
		require.NoError(t, p.Err())
		require.ErrorIs(t, p.Install(mustChild(t, 0xc1000009)), ErrClosed)
		p.Receive(slices.Clone(old))
		require.Equal(t, before, snapshot(t), "nothing is left behind")
	})
}

func mustChild(t *testing.T, spi uint32) Child {
	c, _ := children(t, "aes128gcm16")
	c.SPIIn = spi
	return c
}

// Everything goes into the tunnel but what is for the gateway's port.
func TestTUNPlaneLeavesTheGatewayOut(t *testing.T) {
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

		cc, _ := children(t, "aes128gcm16")
		cc.LocalTS = []Selector{SelectorOf(netip.MustParsePrefix("192.0.2.2/32"))}
		cc.RemoteTS = []Selector{SelectorOf(netip.MustParsePrefix("0.0.0.0/0"))}
		p, err := OpenTUN(Config{
			Child: cc, Local: netip.MustParseAddrPort("192.0.2.2:4500"), Gateway: netip.MustParseAddrPort("192.0.2.1:4500"),
			Send: func(...[]byte) error { return nil },
		})
		require.NoError(t, err)
		defer p.Close()
		require.True(t, strings.HasPrefix(p.Device(), "ipsec"))
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

func TestTUNPlaneFailuresLeaveNothing(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		base := func() Config {
			cc, _ := children(t, "aes128gcm16")
			return Config{Child: cc, Device: "tnctest0", Gateway: netip.MustParseAddrPort("192.168.0.1:4500"), Send: func(...[]byte) error { return nil }}
		}
		for want, edit := range map[string]func(*Config){
			"no way to send":      func(c *Config) { c.Send = nil },
			"device name":         func(c *Config) { c.Device = "a/b" },
			"MTU 100":             func(c *Config) { c.MTU = 100 },
			"a cipher is missing": func(c *Config) { c.Child.In = nil },
			"install virtual IP": func(c *Config) {
				c.Addresses = []netip.Addr{netip.MustParseAddr("10.3.0.1"), netip.MustParseAddr("10.3.0.1")}
			},
		} {
			c := base()
			edit(&c)
			_, err := OpenTUN(c)
			require.ErrorContains(t, err, want)
			require.Equal(t, before, snapshot(t), want)
		}
		p, err := OpenTUN(base())
		require.NoError(t, err)
		_, err = OpenTUN(base())
		require.ErrorContains(t, err, "a device of that name exists")
		c := base()
		c.Device = ""
		_, err = OpenTUN(c)
		require.ErrorContains(t, err, "does another VPN client run?")
		require.NoError(t, p.Close())
		require.Equal(t, before, snapshot(t))

		// a rule that is there already stays
		r := netlink.NewRule()
		r.Table, r.Priority, r.Family = 220, 220, unix.AF_INET
		require.NoError(t, netlink.RuleAdd(r))
		with := snapshot(t)
		c = base()
		c.Gateway = netip.AddrPort{}
		p, err = OpenTUN(c)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		require.Equal(t, with, snapshot(t))

		// the device is taken away
		p, err = OpenTUN(base())
		require.NoError(t, err)
		l, err := netlink.LinkByName(p.Device())
		require.NoError(t, err)
		require.NoError(t, netlink.LinkDel(l))
		select {
		case <-p.Done():
			require.ErrorContains(t, p.Err(), "is gone")
		case <-time.After(5 * time.Second):
			t.Error("the plane does not notice that its device is gone")
		}
		require.NoError(t, p.Close())
	})
}
