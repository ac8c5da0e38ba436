package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRuns(t *testing.T) {
	sized := func(sizes ...int) (out [][]byte) {
		for _, n := range sizes {
			out = append(out, make([]byte, n))
		}
		return out
	}
	many := make([]int, 100)
	for i := range many {
		many[i] = 100
	}
	large := make([]int, 60)
	for i := range large {
		large[i] = 1400
	}
	for _, c := range []struct {
		packets [][]byte
		n       int
	}{
		{sized(100), 1},
		{sized(100, 100, 100), 3},
		{sized(100, 100, 50, 100), 3},
		{sized(100, 200), 1},
		{sized(0, 0), 2},
		{sized(many...), maxSegments},
		{sized(large...), (maxDatagram - 100) / 1400},
		{sized(65535, 65535), 1},
	} {
		require.Equal(t, c.n, run(c.packets))
	}
}

// Packets of many sizes arrive one by one, unchanged and in order, whether the
// kernel cuts them or not; those that come together are delivered together.
func TestESPInRuns(t *testing.T) {
	for name, single := range map[string]bool{"the kernel cuts": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			gw, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			defer gw.Close()
			at := gw.LocalAddr().(*net.UDPAddr).AddrPort()
			c, err := Open(Config{Remote: at, Local: netip.MustParseAddr("127.0.0.1")})
			require.NoError(t, err)
			defer c.Close()
			c.out.single = single
			c.espTo.Store(&at)
			var packets [][]byte
			for i, n := range []int{1300, 1300, 1300, 700, 60, 60, 1300, 1301, 8, 9, 1200, 1200, 1200, 1200, 20} {
				b := make([]byte, n)
				binary.BigEndian.PutUint32(b, 0xc0000000+uint32(i))
				packets = append(packets, b)
			}
			require.NoError(t, c.SendESP(packets...))
			require.NoError(t, gw.SetReadDeadline(time.Now().Add(10*time.Second)))
			buf := make([]byte, maxDatagram)
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
			if single {
				for _, b := range packets {
					_, err := gw.WriteToUDPAddrPort(b, back)
					require.NoError(t, err)
				}
			} else {
				for p := packets; len(p) > 0; {
					n, joined := run(p), []byte(nil)
					for _, b := range p[:n] {
						joined = append(joined, b...)
					}
					if err := sendSegments(gw, joined, len(p[0]), back); err != nil {
						t.Skipf("SKIP needs a kernel that cuts datagrams: %v", err)
					}
					p = p[n:]
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

// Reading allocates nothing but the copies of IKE messages: ESP has none.
func TestReceivingAllocatesNothing(t *testing.T) {
	a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer a.Close()
	b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer b.Close()
	to := b.LocalAddr().(*net.UDPAddr).AddrPort()
	rx, err := newReceiver(b)
	require.NoError(t, err)
	packet := []byte("a datagram")
	got := 0
	n := testing.AllocsPerRun(100, func() {
		for range 3 {
			_, _ = a.WriteToUDPAddrPort(packet, to)
		}
		for left := 3; left > 0; {
			n, err := rx.receive()
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				m, size, from := rx.message(i)
				if string(m) == "a datagram" && size == 0 && from == a.LocalAddr().(*net.UDPAddr).AddrPort() {
					got++
				}
			}
			left -= n
		}
	})
	require.Zero(t, n)
	require.Equal(t, 101*3, got)
}
