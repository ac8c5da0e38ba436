package patnc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func size(t *testing.T, m Message) int {
	t.Helper()
	b, err := m.AppendBinary(nil)
	require.NoError(t, err)
	return len(b)
}

func TestPackOne(t *testing.T) {
	as := func(sizes ...int) (out []Attribute) {
		for _, n := range sizes {
			out = append(out, Skip(Dummy{Size: n}))
		}
		return out
	}
	segments := func(m Message) (n int) {
		for _, a := range m.Attributes {
			if _, ok := a.Value.(SegmentEnvelope); ok {
				n++
			}
		}
		return n
	}
	huge := Contract{MaxMessage: NoLimit, MaxSegment: 0xFFFFFFE8}
	for name, c := range map[string]struct {
		sizes    []int
		contract *Contract
		segments int
		most     int // octets of the message; 0 = not bounded
	}{
		"nothing to cut":                     {sizes: []int{100, 200}, contract: &huge, most: 1000},
		"without a contract all stays whole": {sizes: []int{5000, 200}, segments: 0},
		"no segmentation agreed":             {sizes: []int{5000}, contract: &Contract{NoLimit, NoLimit}},
		"above the contract's message":       {sizes: []int{5000}, contract: &Contract{1000, 500}},
		"one is cut":                         {sizes: []int{5000, 200}, contract: &huge, segments: 1, most: 1000},
		"the largest are cut":                {sizes: []int{300, 5000, 20, 4000}, contract: &huge, segments: 2, most: 1000},
		"the contract is smaller still":      {sizes: []int{5000, 400}, contract: &Contract{NoLimit, 100}, segments: 2, most: 300},
		"more than can shrink":               {sizes: []int{500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500}, contract: &huge, segments: MaxPendingBases},
	} {
		t.Run(name, func(t *testing.T) {
			var s *Segmenter
			if c.contract != nil {
				s = NewSegmenter(*c.contract)
			}
			in := as(c.sizes...)
			m, err := PackOne(in, 1000, s)
			require.NoError(t, err)
			require.Len(t, m.Attributes, len(in), "all in one message")
			require.Equal(t, c.segments, segments(m))
			if c.most > 0 {
				require.LessOrEqual(t, size(t, m), c.most)
			}
			if c.most == 1000 && c.segments > 0 {
				require.Equal(t, 1000, size(t, m), "the room is used")
			}
			// What was cut arrives whole.
			r := NewReassembler()
			for i, a := range m.Attributes {
				for {
					e, ok := a.Value.(SegmentEnvelope)
					if !ok {
						break
					}
					whole, next, err := r.Add(e)
					require.NoError(t, err)
					if next == nil {
						a = *whole
						break
					}
					a, ok = s.Next(*next, 77)
					require.True(t, ok)
					require.LessOrEqual(t, len(a.Value.(SegmentEnvelope).Data), 77)
				}
				require.Equal(t, in[i], a)
			}
		})
	}
}
