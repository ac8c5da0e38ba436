package batch

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
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
		{sized(many...), MaxSegments},
		{sized(large...), maxRun / 1400},
		{sized(65535, 65535), 1},
	} {
		require.Equal(t, c.n, run(c.packets))
	}
}

func TestSegments(t *testing.T) {
	b := []byte("aaaabbbbcc")
	require.Equal(t, [][]byte{[]byte("x"), b}, Segments([][]byte{[]byte("x")}, b, 0))
	got := Segments(nil, b, 4)
	require.Equal(t, [][]byte{[]byte("aaaa"), []byte("bbbb"), []byte("cc")}, got)
	for _, p := range got {
		require.Equal(t, len(p), cap(p), "one that grows must not overwrite the next")
	}
	require.Empty(t, Segments(nil, nil, 4))
}

func sockets(t *testing.T, network, host string) (a, b *net.UDPConn) {
	t.Helper()
	for _, c := range []**net.UDPConn{&a, &b} {
		fd, err := net.ListenUDP(network, &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Skipf("SKIP needs %s on %s: %v", network, host, err)
		}
		t.Cleanup(func() { fd.Close() })
		*c = fd
	}
	return a, b
}

// Packets of many sizes arrive one by one, unchanged and in order, over both
// families, whether the kernel joins and cuts them or not.
func TestWriteAndRead(t *testing.T) {
	for _, family := range []struct{ network, host string }{{"udp4", "127.0.0.1"}, {"udp6", "::1"}} {
		for _, single := range []bool{false, true} {
			a, b := sockets(t, family.network, family.host)
			w, err := NewWriter(a)
			require.NoError(t, err)
			refuseRuns(w, single)
			r, err := NewReader(b)
			require.NoError(t, err)
			var packets [][]byte
			for i, n := range slices.Concat([]int{1300, 1300, 1300, 700, 60, 60, 1300, 1301, 8, 9, 1200, 1200, 1200, 1200, 20}, slices.Repeat([]int{900}, 70)) {
				p := make([]byte, n)
				binary.BigEndian.PutUint32(p, 0xc0000000+uint32(i))
				packets = append(packets, p)
			}
			require.NoError(t, w.Write(b.LocalAddr().(*net.UDPAddr).AddrPort(), packets...))
			require.NoError(t, b.SetReadDeadline(time.Now().Add(10*time.Second)))
			for left := packets; len(left) > 0; {
				n, err := r.Read()
				require.NoError(t, err, "%s, single %v: %d are missing", family.network, single, len(left))
				for i := range n {
					m, size, _, from := r.Message(i)
					require.Equal(t, a.LocalAddr().(*net.UDPAddr).AddrPort(), from)
					for _, got := range Segments(nil, m, size) {
						require.Equal(t, left[0], got)
						left = left[1:]
					}
				}
			}
		}
	}
}

// An address of the other family fails, and does not reach the kernel's header.
func TestWriteToTheOtherFamily(t *testing.T) {
	a, _ := sockets(t, "udp4", "127.0.0.1")
	w, err := NewWriter(a)
	require.NoError(t, err)
	require.Error(t, w.Write(netip.MustParseAddrPort("[2001:db8::1]:4500"), make([]byte, 100), make([]byte, 100)))
	a.Close()
	require.ErrorIs(t, w.Write(netip.MustParseAddrPort("127.0.0.1:4500"), make([]byte, 100), make([]byte, 100)), net.ErrClosed)
}

// Reading allocates nothing.
func TestReadingAllocatesNothing(t *testing.T) {
	a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer a.Close()
	b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer b.Close()
	to := b.LocalAddr().(*net.UDPAddr).AddrPort()
	rx, err := NewReader(b)
	require.NoError(t, err)
	packet := []byte("a datagram")
	got := 0
	n := testing.AllocsPerRun(100, func() {
		for range 3 {
			_, _ = a.WriteToUDPAddrPort(packet, to)
		}
		for left := 3; left > 0; {
			n, err := rx.Read()
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				m, size, _, from := rx.Message(i)
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

// Writing allocates nothing.
func TestWritingAllocatesNothing(t *testing.T) {
	a, b := sockets(t, "udp4", "127.0.0.1")
	w, err := NewWriter(a)
	require.NoError(t, err)
	to, packets := b.LocalAddr().(*net.UDPAddr).AddrPort(), slices.Repeat([][]byte{make([]byte, 1300)}, 32)
	require.NoError(t, w.Write(to, packets...))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = w.Write(to, packets...) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = w.Write(to, packets[0]) }))
}
