package xfrm

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
)

// acquireMessage is an XFRM_MSG_ACQUIRE as the kernel sends it: the fixed part,
// an attribute of another kind, the template.
func acquireMessage(reqID uint32) []byte {
	tmpl := &nl.XfrmUserTmpl{Reqid: reqID, Family: unix.AF_INET, Mode: 1}
	fixed := make([]byte, sizeofAcquire)
	sel := nl.XfrmSelector{Family: unix.AF_INET, Proto: unix.IPPROTO_TCP, Dport: swap16(443), Sport: swap16(40000), PrefixlenD: 32, PrefixlenS: 32}
	copy(sel.Daddr[:], []byte{10, 1, 0, 9})
	copy(sel.Saddr[:], []byte{10, 3, 0, 1})
	copy(fixed[acquireSelector:], sel.Serialize())
	body := attribute(fixed, nl.XFRMA_POLICY_TYPE, make([]byte, 6))
	body = attribute(body, nl.XFRMA_TMPL, tmpl.Serialize())
	return request{nl.XFRM_MSG_ACQUIRE, 0, body}.message(7)
}

func TestAcquired(t *testing.T) {
	b := acquireMessage(0x746e1234)
	id, ok := acquired(b)
	require.True(t, ok)
	require.Equal(t, uint32(0x746e1234), id)
	packet := acquiredPacket(b)
	require.Equal(t, "10.3.0.1/32[tcp/40000] 10.1.0.9/32[tcp/443]", packet.Local.String()+" "+packet.Remote.String())
	for n := range b {
		_, ok := acquired(b[:n])
		require.False(t, ok, "%d octets", n)
	}
	binary.NativeEndian.PutUint16(b[4:], nl.XFRM_MSG_EXPIRE)
	_, ok = acquired(b)
	require.False(t, ok, "another message")
}

func FuzzAcquired(f *testing.F) {
	f.Add(acquireMessage(1))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if _, ok := acquired(b); ok {
			acquiredPacket(b)
		}
	})
}

// A trap is the three policies of each pair of selectors, without states; the
// CHILD_SA that comes replaces them, and all go at the end.
func TestTrapIsPoliciesWithoutStates(t *testing.T) {
	k := &fakeKernel{}
	d := testDatabases(k)
	c := child(0xc0000001)
	require.NoError(t, d.trap(c))
	newSA, delSA, pol, delPol := uint16(nl.XFRM_MSG_NEWSA), uint16(nl.XFRM_MSG_DELSA), uint16(nl.XFRM_MSG_UPDPOLICY), uint16(nl.XFRM_MSG_DELPOLICY)
	require.Equal(t, []uint16{pol, pol, pol}, k.kinds)
	require.NoError(t, d.install(c, false))
	k.kinds = nil
	require.NoError(t, d.close())
	require.Equal(t, []uint16{delPol, delPol, delPol, delSA, delSA}, k.kinds)
	require.NotContains(t, k.kinds, newSA)
	require.ErrorIs(t, d.trap(entry{}), esp.ErrClosed)
}

// The listener ends when it is closed, and ignores all senders but the kernel.
func TestListenerEnds(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: run `sudo make test`")
	}
	var heard atomic.Int32
	a, err := listenAcquires(1, func(ike.Trigger) { heard.Add(1) })
	if err != nil {
		t.Skipf("SKIP needs a kernel with XFRM: %v", err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	require.NoError(t, err)
	defer unix.Close(fd)
	at, err := unix.Getsockname(a.fd)
	require.NoError(t, err)
	_ = unix.Sendto(fd, acquireMessage(1), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: at.(*unix.SockaddrNetlink).Pid})
	ended := make(chan struct{})
	go func() { a.close(); a.close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the listener did not end")
	}
	require.Zero(t, heard.Load())
}
