package esp

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Extended sequence numbers go on where 32 bits end, and the high half is
// authenticated though not sent.
func TestExtendedSequenceNumbers(t *testing.T) {
	for _, suite := range []string{"aes128gcm16-esn", "aes128-sha256-esn", "chacha20poly1305-esn"} {
		cc, gc := children(t, suite)
		cc.ESN, gc.ESN = true, true
		c, err := NewSA(cc)
		require.NoError(t, err)
		g, err := NewSA(gc)
		require.NoError(t, err)
		p := ping(t, "10.3.0.1", "10.1.0.1", 8)
		c.seq = math.MaxUint32 - 3
		g.window.accept(c.seq)
		var pkts [][]byte
		for range 8 {
			pkt, err := c.Seal(nil, p)
			require.NoError(t, err, suite)
			pkts = append(pkts, pkt)
		}
		require.EqualValues(t, 4, binary.BigEndian.Uint32(pkts[7][4:]))
		for _, i := range []int{7, 0, 1, 2, 6, 5, 3, 4} { // across the border, in any order
			_, err = g.Open(append([]byte(nil), pkts[i]...))
			require.NoError(t, err, "%s packet %d", suite, i)
			_, err = g.Open(append([]byte(nil), pkts[i]...))
			require.ErrorIs(t, err, ErrReplay)
		}
	}
}

// A peer that has rekeyed may not be ready: the new SA waits for its packet.
func TestStandby(t *testing.T) {
	cc, gc := children(t, "aes128gcm16")
	cc.Standby = true
	c, err := NewSA(cc)
	require.NoError(t, err)
	g, err := NewSA(gc)
	require.NoError(t, err)
	require.True(t, c.standby.Load())
	pkt, err := g.Seal(nil, ping(t, "10.1.0.1", "10.3.0.1", 8))
	require.NoError(t, err)
	_, err = c.Open(pkt)
	require.NoError(t, err)
	require.False(t, c.standby.Load())
	require.True(t, c.Carries(ping(t, "10.3.0.1", "10.1.0.1", 8)))
	require.False(t, c.Carries(ping(t, "10.3.0.1", "10.9.0.1", 8)))
}

// Sealing and opening a packet allocates nothing.
func TestNoAllocations(t *testing.T) {
	for _, suite := range []string{"aes128gcm16", "aes256gcm16", "chacha20poly1305"} {
		c, g := pair(t, suite)
		p := ping(t, "10.3.0.1", "10.1.0.1", 1300)
		buf := make([]byte, 64+1400+128)
		n := testing.AllocsPerRun(200, func() {
			copy(buf[64:], p)
			pkt, err := c.SealInPlace(buf, 64, len(p))
			if err == nil {
				_, err = g.Open(pkt)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		require.Zero(t, n, suite)
	}
}
