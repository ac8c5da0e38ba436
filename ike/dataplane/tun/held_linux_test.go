package tun

import (
	"net/netip"
	"slices"
	"sync/atomic"
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

// A trap has device and routes but no SA: its packets are told of, the first
// ones wait, and the SA that comes sends them.
func TestTUNTrap(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inNamespace(t, func(t *testing.T) {
		cc, gw := childPair(t, "aes128gcm16", childSPI, 1)
		asked := make(chan struct{}, 1000)
		sent := make(chan int, 1000)
		var wanted atomic.Bool
		p := newPlane(t, dataplane.Config{
			Device: "tnctest%d",
			Acquire: func(ike.Trigger) bool {
				want := wanted.Load() // before the sender goes on, which changes it
				asked <- struct{}{}
				return want
			},
		}, dataplanetest.NewSocket(func(pkts ...[]byte) error {
			for _, pkt := range pkts {
				inner, err := gw.Open(slices.Clone(pkt))
				if err != nil {
					return err
				}
				e, _ := esp.ParseEcho(inner)
				sent <- len(e.Data)
			}
			return nil
		}))
		trap := *cc
		trap.Keys, trap.RemoteTS = nil, []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.1.0.0/16"))}
		addVirtualIP(t)
		before := snapshot(t)
		require.NoError(t, p.Trap(&trap))
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		require.NoError(t, err)
		defer unix.Close(fd)
		send := func(data int) {
			require.NoError(t, unix.Sendto(fd, ping(t, "10.3.0.1", "10.1.0.1", data), 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}))
			select {
			case <-asked:
			case <-time.After(10 * time.Second):
				require.Fail(t, "nobody was told of the packet")
			}
		}
		send(999) // not wanted yet: dropped
		wanted.Store(true)
		for i := range maxHeld + 5 {
			send(i)
		}
		require.NoError(t, p.Install(cc, false))
		for i := range maxHeld {
			require.Equal(t, i, <-sent, "in order, the first ones")
		}
		require.Empty(t, sent)
		require.NoError(t, unix.Sendto(fd, ping(t, "10.3.0.1", "10.1.0.1", 77), 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}))
		require.Equal(t, 77, <-sent)
		require.Empty(t, asked, "with an SA nobody is asked")
		require.NoError(t, p.Close())
		require.Equal(t, before, snapshot(t), "nothing is left behind")
	})
}

// addVirtualIP gives the namespace the address that packets come from: a trap has
// none of its own.
func addVirtualIP(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	require.NoError(t, err)
	addr, err := netlink.ParseAddr("10.3.0.1/32")
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(lo, addr))
}

// A trap without selectors is none.
func TestTrapNeedsItsSelectors(t *testing.T) {
	p := New(dataplane.Config{Acquire: func(ike.Trigger) bool { return true }})
	require.ErrorContains(t, p.Trap(&ike.ChildSA{}), "traffic selectors are missing")
	require.ErrorContains(t, p.Trap(), "traffic selectors are missing")
}
