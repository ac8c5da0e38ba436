package esp

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// A trap has device and routes but no SA: its packets are told of, the first
// ones wait, and the SA that comes sends them.
func TestTUNTrap(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inNamespace(t, func(t *testing.T) {
		before := snapshot(t)
		cc, gc := children(t, "aes128gcm16")
		gw, err := NewSA(gc)
		require.NoError(t, err)
		asked := make(chan struct{}, 1000)
		sent := make(chan int, 1000)
		var wanted atomic.Bool
		p, err := OpenTUN(Config{
			Device: "tnctest%d", Addresses: []netip.Addr{netip.MustParseAddr("10.3.0.1")},
			TrapLocal: cc.LocalTS, TrapRemote: []Selector{SelectorOf(gwNet)},
			Local: netip.MustParseAddrPort("192.168.0.100:4500"), Gateway: netip.MustParseAddrPort("192.168.0.1:4500"),
			Send: func(pkts ...[]byte) error {
				for _, pkt := range pkts {
					inner, err := gw.Open(slices.Clone(pkt))
					if err != nil {
						return err
					}
					e, _ := ParseEcho(inner)
					sent <- len(e.Data)
				}
				return nil
			},
			Acquire: func() bool {
				want := wanted.Load() // before the sender goes on, which changes it
				asked <- struct{}{}
				return want
			},
		})
		require.NoError(t, err)
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
		require.NoError(t, p.Install(cc))
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

// Neither ciphers nor a trap is no plane.
func TestTrapNeedsItsSelectors(t *testing.T) {
	_, err := OpenTUN(Config{Acquire: func() bool { return true }})
	require.ErrorContains(t, err, "a cipher is missing")
}
