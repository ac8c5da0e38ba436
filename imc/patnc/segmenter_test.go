package patnc

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func frame(t testing.TB, a Attribute) []byte {
	t.Helper()
	b, err := a.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// A worked example of TCG IF-M Segmentation 1.0.
func TestSegmentation(t *testing.T) {
	s := NewSegmenter(Contract{NoLimit, 24})
	messages, dropped, err := Pack([]Attribute{NoSkip(Dummy{40})}, 0, s)
	require.NoError(t, err)
	require.Empty(t, dropped)
	require.Len(t, messages, 1)
	first := messages[0].Attributes[0]
	dd := func(n int) []byte { return bytes.Repeat([]byte{0xdd}, n) }
	require.Equal(t, append(unhex(t, "00005597 00000023 00000028 c0000001 8000902a 00000002 00000034"), dd(12)...), frame(t, first))

	r := NewReassembler()
	complete, next, err := r.Add(first.Value.(SegmentEnvelope))
	require.NoError(t, err)
	require.Nil(t, complete)
	require.Equal(t, &NextSegment{BaseMessageID: 1}, next)

	second, ok := s.Next(*next, 0)
	require.True(t, ok)
	require.Equal(t, append(unhex(t, "00005597 00000023 00000028 80000001"), dd(24)...), frame(t, second))
	complete, next, err = r.Add(second.Value.(SegmentEnvelope))
	require.NoError(t, err)
	require.Nil(t, complete)

	third, ok := s.Next(*next, 0)
	require.True(t, ok)
	require.Equal(t, append(unhex(t, "00005597 00000023 00000014 00000001"), dd(4)...), frame(t, third))
	complete, next, err = r.Add(third.Value.(SegmentEnvelope))
	require.NoError(t, err)
	require.Nil(t, next)
	require.Equal(t, NoSkip(Dummy{40}), *complete)
	require.Zero(t, r.octets)

	_, ok = s.Next(NextSegment{BaseMessageID: 1}, 0)
	require.False(t, ok, "the base message is forgotten")
}

func TestSmallAttributesAreNotSegmented(t *testing.T) {
	s := NewSegmenter(Contract{NoLimit, 24})
	m, _, err := Pack([]Attribute{Skip(Dummy{28})}, 0, s)
	require.NoError(t, err)
	require.IsType(t, Dummy{}, m[0].Attributes[0].Value)
	s.SetContract(Contract{30, 24})
	m, _, err = Pack([]Attribute{Skip(Dummy{29})}, 0, s)
	require.NoError(t, err)
	require.IsType(t, Dummy{}, m[0].Attributes[0].Value, "larger than the message size agreed on")
}

func TestCancelAndPendingBound(t *testing.T) {
	s := NewSegmenter(Contract{NoLimit, 24})
	for range MaxPendingBases + 1 {
		_, _, err := Pack([]Attribute{Skip(Dummy{100})}, 0, s)
		require.NoError(t, err)
	}
	_, ok := s.Next(NextSegment{BaseMessageID: 1}, 0)
	require.False(t, ok, "the oldest was dropped")
	_, ok = s.Next(NextSegment{BaseMessageID: 2, Cancel: true}, 0)
	require.False(t, ok)
	_, ok = s.Next(NextSegment{BaseMessageID: 2}, 0)
	require.False(t, ok, "cancelled")
	_, ok = s.Next(NextSegment{BaseMessageID: 3}, 0)
	require.True(t, ok)
}

func TestAccept(t *testing.T) {
	require.Equal(t, Contract{NoLimit, 60}, Accept(Contract{NoLimit, 60}, 65490))
	require.Equal(t, Contract{NoLimit, 65466}, Accept(Contract{NoLimit, 65467}, 65490))
	require.Equal(t, Contract{NoLimit, 70000}, Accept(Contract{NoLimit, 70000}, 0))
	require.Equal(t, Contract{NoLimit, NoLimit}, Accept(Contract{NoLimit, NoLimit}, 65490))
	require.Equal(t, Contract{NoLimit, NoLimit}, Accept(Contract{NoLimit, 3}, 65490), "too small for a header")
}

func TestPackSplits(t *testing.T) {
	as := []Attribute{Skip(Dummy{20}), Skip(Dummy{20}), Skip(Dummy{200}), Skip(Dummy{1})}
	m, dropped, err := Pack(as, 80, nil)
	require.NoError(t, err)
	require.Equal(t, []Type{TypeITADummy}, dropped)
	require.Len(t, m, 2)
	require.Len(t, m[0].Attributes, 2)
	for _, x := range m {
		require.LessOrEqual(t, len(encode(t, x)), 80)
	}
	// The same with a contract: the large one leaves in a segment that fits.
	m, dropped, err = Pack(as, 80, NewSegmenter(Contract{NoLimit, 56}))
	require.NoError(t, err)
	require.Empty(t, dropped)
	for _, x := range m {
		require.LessOrEqual(t, len(encode(t, x)), 80)
	}
	m, _, err = Pack(nil, 0, nil)
	require.NoError(t, err)
	require.Empty(t, m)
}

func TestReassemblerRefuses(t *testing.T) {
	header := func(length uint32) []byte {
		return []byte{0x80, 0, 0x90, 0x2a, 0, 0, 0, 2, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	}
	answer := func(t *testing.T, err error) *Error {
		var pe *ParseError
		require.ErrorAs(t, err, &pe)
		require.NotNil(t, pe.Answer)
		return pe.Answer
	}
	r := NewReassembler()
	_, _, err := r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: 1, Data: header(MaxReassembly + 1)})
	require.Equal(t, unhex(t, "ffffffff 00000001 00000008"), answer(t, err).Info)

	_, _, err = r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: 2, Data: header(16)[:11]})
	require.Equal(t, unhex(t, "ffffffff 00000002 00000000"), answer(t, err).Info)

	_, _, err = r.Add(SegmentEnvelope{Start: true, BaseMessageID: 3, Data: header(13)})
	require.Equal(t, unhex(t, "ffffffff 00000003 00000008"), answer(t, err).Info, "last segment, still short")

	_, next, err := r.Add(SegmentEnvelope{More: true, BaseMessageID: 9, Data: []byte{1}})
	require.NoError(t, err, "unknown base message")
	require.NotNil(t, next)

	_, _, err = r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: 4, Data: header(13)})
	require.NoError(t, err)
	_, _, err = r.Add(SegmentEnvelope{BaseMessageID: 4, Data: []byte{1, 2}})
	answer(t, err)
	require.Empty(t, r.bases)

	unknown := header(14)
	unknown[7] = 0x63
	_, _, err = r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: 5, Data: unknown})
	require.Equal(t, ErrorTypeNotSupported, answer(t, err).Code)
	unknown[0] = 0
	_, _, err = r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: 5, Data: unknown})
	require.NoError(t, err)
	a, _, err := r.Add(SegmentEnvelope{BaseMessageID: 5, Data: []byte{1, 2}})
	require.NoError(t, err)
	require.Nil(t, a, "dropped silently")

	for i := range MaxReassemblyBases {
		_, _, err = r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: uint32(100 + i), Data: header(100)})
		require.NoError(t, err)
	}
	_, _, err = r.Add(SegmentEnvelope{Start: true, More: true, BaseMessageID: 99, Data: header(100)})
	require.ErrorIs(t, err, ErrTooMany)
}

func FuzzReassembler(f *testing.F) {
	f.Add([]byte{0xc0, 1, 12, 0x80, 0, 0x90, 0x2a, 0, 0, 0, 2, 0, 0, 0, 14, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReassembler()
		for len(b) >= 3 {
			flags, id, n := b[0], b[1], int(b[2])
			b = b[3:]
			n = min(n, len(b))
			_, _, _ = r.Add(SegmentEnvelope{More: flags&flagMore != 0, Start: flags&flagStart != 0, BaseMessageID: uint32(id), Data: b[:n]})
			b = b[n:]
		}
		total := 0
		for _, x := range r.bases {
			total += len(x.data)
		}
		if total != r.octets {
			t.Fatalf("%d octets kept, %d counted", total, r.octets)
		}
	})
}
