package tun

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/esp"
)

// inNamespace runs f on a thread with a network namespace of its own, which
// ends with the thread: nothing can be left behind on the host.
func inNamespace(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: run the test as root")
	}
	if err := Probe(); err != nil {
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

const childSPI = 0xc0000001

// childPair returns the client's CHILD_SA and the SAs of the gateway.
func childPair(t *testing.T, proposal string, spiIn uint32, fill byte) (*ike.ChildSA, *esp.SA) {
	t.Helper()
	client, gateway := dataplanetest.Children(proposal, spiIn, spiIn+1, fill)
	in, out, err := gateway.Ciphers(nil)
	require.NoError(t, err)
	sa, err := esp.NewSA(esp.Config{SPIIn: gateway.SPIIn, SPIOut: gateway.SPIOut, In: in, Out: out, LocalTS: gateway.LocalTS, RemoteTS: gateway.RemoteTS})
	require.NoError(t, err)
	return client, sa
}

func ping(t *testing.T, src, dst string, data int) []byte {
	t.Helper()
	p, err := esp.Echo{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), ID: 7, Seq: 1, Data: make([]byte, data)}.Append(nil)
	require.NoError(t, err)
	return p
}

// newPlane returns a plane with that socket.
func newPlane(t *testing.T, cfg dataplane.Config, sock *dataplanetest.Socket) *plane {
	t.Helper()
	p := New(cfg).(*plane)
	require.NoError(t, p.Attach(sock))
	return p
}

func recvEcho(t *testing.T, fd int) esp.Echo {
	t.Helper()
	buf := make([]byte, 2000)
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		require.NoError(t, err, "a reply comes")
		e, err := esp.ParseEcho(buf[:n])
		if err == nil && e.Reply {
			return e
		}
	}
}

func mustChild(t *testing.T, spi uint32) *ike.ChildSA {
	c, _ := childPair(t, "aes128gcm16", spi, 1)
	return c
}

// pingGateway is a gateway that answers pings.
type pingGateway struct {
	sock *dataplanetest.Socket // of the client
	mu   sync.Mutex
	sa   *esp.SA
}

func newPingGateway(sa *esp.SA) *pingGateway {
	g := &pingGateway{sa: sa}
	g.sock = dataplanetest.NewSocket(func(pkts ...[]byte) error {
		for _, pkt := range pkts {
			if err := g.answer(pkt); err != nil {
				return err
			}
		}
		return nil
	})
	return g
}

// use answers through another SA from now on.
func (g *pingGateway) use(sa *esp.SA) {
	g.mu.Lock()
	g.sa = sa
	g.mu.Unlock()
}

func (g *pingGateway) answer(pkt []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	inner, err := g.sa.Open(slices.Clone(pkt))
	if err != nil {
		return err
	}
	e, err := esp.ParseEcho(inner)
	if err != nil || e.Reply {
		return nil
	}
	e.Src, e.Dst, e.Reply = e.Dst, e.Src, true
	b, err := e.Append(nil)
	if err != nil {
		return err
	}
	if pkt, err = g.sa.Seal(nil, b); err != nil {
		return err
	}
	g.sock.Deliver(pkt)
	return nil
}

// rawSockets returns one that sends IP packets, which the kernel routes into the
// device, and one that receives the answers.
func rawSockets(t *testing.T) (send, receive int) {
	t.Helper()
	send, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	require.NoError(t, err)
	receive, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	require.NoError(t, err)
	return send, receive
}
