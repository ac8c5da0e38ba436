package esp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// classPacket is a ping with that traffic class.
func classPacket(t *testing.T, src, dst string, c byte) []byte {
	t.Helper()
	p, err := Echo{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), ID: 1, Seq: 1}.Append(nil)
	require.NoError(t, err)
	setClass(p, c)
	return p
}

func headerSum(p []byte) uint16 { return checksum(0, p[:20]) }

// Every class is written and read back in both families, and the checksum of IPv4
// stays right.
func TestSetClass(t *testing.T) {
	for c := range 256 {
		for d := range 256 {
			p := classPacket(t, "10.3.0.1", "10.1.0.1", byte(c))
			setClass(p, byte(d))
			require.Equal(t, byte(d), class(p))
			require.Zero(t, headerSum(p), "%#x to %#x", c, d)
		}
		p := classPacket(t, "fec3::1", "fec1::1", byte(c))
		require.Equal(t, byte(c), class(p))
		require.Equal(t, byte(6), p[0]>>4)
	}
	require.Zero(t, class(nil))
}

// RFC 6040 figure 4.
func TestECNReceived(t *testing.T) {
	const drop = 0xff
	for _, r := range [][5]byte{ // inner; outer Not-ECT, ECT(0), ECT(1), CE
		{notECT, notECT, notECT, notECT, drop},
		{ect0, ect0, ect0, ect1, ecnCE},
		{ect1, ect1, ect1, ect1, ecnCE},
		{ecnCE, ecnCE, ecnCE, ecnCE, ecnCE},
	} {
		for i, outer := range []byte{notECT, ect0, ect1, ecnCE} {
			got, ok := ecnReceived(r[0], outer)
			if r[i+1] == drop {
				require.False(t, ok)
				continue
			}
			require.True(t, ok)
			require.Equal(t, r[i+1], got, "inner %d, outer %d", r[0], outer)
		}
	}
}

func TestClassCopy(t *testing.T) {
	sa := func(c ClassCopy) *SA {
		s := &SA{}
		s.CopyClass(c)
		return s
	}
	for _, r := range []struct {
		copies          ClassCopy
		inner, outerOut byte
		outerIn, after  byte
	}{
		{ClassCopy{}, 0xba, 0, 0x03, 0xba},
		{ClassCopy{DSCPOut: true, ECN: true}, 0xba, 0xba, 0x47, 0xbb}, // strongSwan's default
		{ClassCopy{DSCPOut: true}, 0xba, 0xb8, 0x47, 0xba},
		{ClassCopy{DSCPIn: true, ECN: true}, 0xba, 0x02, 0x47, 0x47},
		{ClassCopy{DSCPIn: true}, 0xba, 0, 0x47, 0x46},
		{ClassCopy{DSCPOut: true, DSCPIn: true, ECN: true}, 0xb9, 0xb9, 0x00, 0x01},
	} {
		s := sa(r.copies)
		for _, pair := range [][2]string{{"10.3.0.1", "10.1.0.1"}, {"fec3::1", "fec1::1"}} {
			p := classPacket(t, pair[0], pair[1], r.inner)
			require.Equal(t, r.outerOut, s.OuterClass(p), "%+v", r)
			require.NoError(t, s.ReceiveClass(p, r.outerIn))
			require.Equal(t, r.after, class(p), "%+v", r)
		}
	}
	s := sa(ClassCopy{ECN: true})
	s.counters.inPackets.Add(1)
	s.counters.inBytes.Add(28)
	require.ErrorIs(t, s.ReceiveClass(classPacket(t, "10.3.0.1", "10.1.0.1", 0)[:28], ecnCE), ErrCongested)
	require.Equal(t, Stats{Failed: 1}, s.Stats())
}
