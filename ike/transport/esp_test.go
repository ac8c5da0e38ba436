package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/transport/batch"
)

// Packets of many sizes arrive one by one, unchanged and in order, joined in
// runs or not; those that come together are delivered together.
func TestESPInRuns(t *testing.T) {
	for name, joined := range map[string]bool{"joined": true, "one by one": false} {
		t.Run(name, func(t *testing.T) {
			gw, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			defer gw.Close()
			at := gw.LocalAddr().(*net.UDPAddr).AddrPort()
			c, err := Open(Config{Remote: at, Local: netip.MustParseAddr("127.0.0.1")})
			require.NoError(t, err)
			defer c.Close()
			c.espTo.Store(&at)
			var packets [][]byte
			for i, n := range []int{1300, 1300, 1300, 700, 60, 60, 1300, 1301, 8, 9, 1200, 1200, 1200, 1200, 20} {
				b := make([]byte, n)
				binary.BigEndian.PutUint32(b, 0xc0000000+uint32(i))
				packets = append(packets, b)
			}
			if joined {
				require.NoError(t, c.SendESP(packets...))
			} else {
				for _, b := range packets {
					require.NoError(t, c.SendESP(b))
				}
			}
			require.NoError(t, gw.SetReadDeadline(time.Now().Add(10*time.Second)))
			buf := make([]byte, 65535)
			for i, want := range packets {
				n, err := gw.Read(buf)
				require.NoError(t, err)
				require.Equal(t, want, buf[:n], "packet %d", i)
			}

			got := make(chan []byte, len(packets))
			c.OnESP(func(ps ...[]byte) {
				for _, p := range ps {
					got <- append([]byte(nil), p...)
				}
			})
			back := c.LocalNATT()
			w, err := batch.NewWriter(gw)
			require.NoError(t, err)
			if joined {
				require.NoError(t, w.Write(back, packets...))
			} else {
				for _, b := range packets {
					require.NoError(t, w.Write(back, b))
				}
			}
			for i, want := range packets {
				select {
				case b := <-got:
					require.Equal(t, want, b, "packet %d", i)
				case <-time.After(10 * time.Second):
					require.Fail(t, "a packet is missing")
				}
			}
		})
	}
}

// The way of a packet to the socket allocates nothing.
func TestSendESPAllocatesNothing(t *testing.T) {
	gw, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer gw.Close()
	at := gw.LocalAddr().(*net.UDPAddr).AddrPort()
	c, err := Open(Config{Remote: at, Local: netip.MustParseAddr("127.0.0.1")})
	require.NoError(t, err)
	defer c.Close()
	c.espTo.Store(&at)
	packets := make([][]byte, 32)
	for i := range packets {
		packets[i] = make([]byte, 1300)
	}
	require.NoError(t, c.SendESP(packets...))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = c.SendESP(packets...) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = c.SendESP(packets[0]) }))
}
