package esp

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestReplays(t *testing.T) {
	c, g := pair(t, "aes128gcm16")
	p := ping(t, "10.3.0.1", "10.1.0.1", 8)
	var pkts [][]byte
	for range 200 {
		pkt, err := c.Seal(nil, p)
		require.NoError(t, err)
		pkts = append(pkts, pkt)
	}
	open := func(i int) error {
		_, err := g.Open(bytes.Clone(pkts[i]))
		return err
	}
	require.NoError(t, open(99))
	require.ErrorIs(t, open(99), ErrReplay)
	require.NoError(t, open(36), "63 behind is within the window")
	require.ErrorIs(t, open(35), ErrReplay, "64 behind is not")
	require.NoError(t, open(150))
	require.NoError(t, open(140))
	require.ErrorIs(t, open(140), ErrReplay)
	// a forged packet far ahead does not move the window
	forged := bytes.Clone(pkts[160])
	binary.BigEndian.PutUint32(forged[4:], 1<<31)
	_, err := g.Open(forged)
	require.Error(t, err)
	require.NoError(t, open(151))
	s := g.Stats()
	require.EqualValues(t, 3, s.Replayed)
	require.EqualValues(t, 1, s.Forged)
	require.EqualValues(t, 5, s.InPackets)
}

// The window against a set of all that was seen, with and without extended
// sequence numbers.
func TestReplayWindowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newReplayWindow(rapid.IntRange(0, 200).Draw(t, "size"))
		require.GreaterOrEqual(t, int(w.size), 64)
		esn := rapid.Bool().Draw(t, "esn")
		seen := map[uint64]bool{}
		at := rapid.SampledFrom([]uint64{1, 1000, math.MaxUint32 - 500, 7<<32 - 100}).Draw(t, "start")
		if at > math.MaxUint32-1000 && esn {
			w.accept(at)
			seen[at] = true
		}
		for range 200 {
			step := rapid.OneOf(rapid.Int64Range(-300, 300), rapid.Int64Range(-5, 5)).Draw(t, "step")
			n := int64(at) + step
			if n < 0 || n > math.MaxUint32 && !esn {
				continue
			}
			seq := uint64(n)
			if esn {
				if inWindow := w.top < w.size || seq > w.top-w.size; inWindow {
					require.Equal(t, seq, w.extend(uint32(seq)), "the high half follows from the low one, top %x", w.top)
				} else {
					w.extend(uint32(seq)) // too old: taken for a later one, which does not authenticate
					continue
				}
			}
			want := seq != 0 && !seen[seq] && (seq > w.top || w.top-seq < w.size)
			if got := w.fresh(seq); got != want {
				t.Fatalf("seq %d, top %d: fresh %v", seq, w.top, got)
			}
			if want {
				w.accept(seq)
				seen[seq] = true
				at = w.top
			}
		}
	})
}
