package batch

import (
	"bytes"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The traffic class travels with each run and with single packets, over both
// families, whatever that of the socket is.
func TestTrafficClass(t *testing.T) {
	for _, family := range []struct {
		network, host string
		level, option int
	}{{"udp4", "127.0.0.1", unix.IPPROTO_IP, unix.IP_TOS}, {"udp6", "::1", unix.IPPROTO_IPV6, unix.IPV6_TCLASS}} {
		for _, of := range []int{0, 0xc0} {
			for _, single := range []bool{false, true} {
				a, b := sockets(t, family.network, family.host)
				rc, err := a.SyscallConn()
				require.NoError(t, err)
				require.NoError(t, rc.Control(func(fd uintptr) {
					require.NoError(t, unix.SetsockoptInt(int(fd), family.level, family.option, of))
				}))
				w, err := NewWriter(a)
				require.NoError(t, err)
				refuseRuns(w, single)
				r, err := NewReader(b)
				require.NoError(t, err)
				to := b.LocalAddr().(*net.UDPAddr).AddrPort()
				var want, got []byte
				for i, class := range []byte{0, 0xb8, 0xb9, 2, 3, 0, byte(of)} {
					n := 1 + i%3*20
					require.NoError(t, w.WriteClass(class, to, slices.Repeat([][]byte{make([]byte, 900)}, n)...))
					want = append(want, bytes.Repeat([]byte{class}, n)...)
				}
				require.NoError(t, w.Write(to, make([]byte, 7)))
				want = append(want, byte(of))
				require.NoError(t, b.SetReadDeadline(time.Now().Add(10*time.Second)))
				for len(got) < len(want) {
					n, err := r.Read()
					require.NoError(t, err)
					for i := range n {
						m, size, class, _ := r.Message(i)
						got = append(got, bytes.Repeat([]byte{class}, len(Segments(nil, m, size)))...)
					}
				}
				require.Equal(t, want, got, "%s, class of the socket %#x, single %v", family.network, of, single)
			}
		}
	}
}

func TestWritingAClassAllocatesNothing(t *testing.T) {
	a, b := sockets(t, "udp4", "127.0.0.1")
	w, err := NewWriter(a)
	require.NoError(t, err)
	to, packets := b.LocalAddr().(*net.UDPAddr).AddrPort(), slices.Repeat([][]byte{make([]byte, 1300)}, 32)
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = w.WriteClass(0xb8, to, packets...) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = w.WriteClass(0xb8, to, packets[0]) }))
}

func TestClearDF(t *testing.T) {
	a, _ := sockets(t, "udp4", "127.0.0.1")
	w, err := NewWriter(a)
	require.NoError(t, err)
	require.NoError(t, w.ClearDF())
	rc, err := a.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, rc.Control(func(fd uintptr) {
		v, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER)
		require.NoError(t, err)
		require.Equal(t, unix.IP_PMTUDISC_DONT, v)
	}))
}
