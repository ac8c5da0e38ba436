package wire

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReaderReadsBigEndian(t *testing.T) {
	r := NewReader("x", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
	require.EqualValues(t, 1, r.U8())
	require.EqualValues(t, 0x0203, r.U16())
	require.EqualValues(t, 0x040506, r.U24())
	require.EqualValues(t, 0x0708090a, r.U32())
	require.EqualValues(t, 0x0b0c0d0e0f101112, r.U64())
	require.Equal(t, []byte{19}, r.Rest())
	require.NoError(t, r.Finish())
}

func TestReaderIsStickyAndKnowsWhere(t *testing.T) {
	r := NewReader("outer", []byte{0, 4, 1, 2, 3, 4, 5})
	n := int(r.U16())
	s := r.Sub("inner", n)
	require.EqualValues(t, 0x0102, s.U16())
	require.Equal(t, 4, s.Offset())
	s.U32()
	var de *DecodeError
	require.ErrorAs(t, s.Err(), &de)
	require.Equal(t, "inner", de.Element)
	require.Equal(t, 4, de.Offset)
	require.ErrorIs(t, s.Err(), ErrTruncated)
	require.Zero(t, s.U8(), "reads after a failure give zero")
	require.NoError(t, r.Err(), "the outer reader has its octets")
	require.ErrorIs(t, r.Finish(), ErrTrailing)
}

func TestReaderTruncatedSubFailsBoth(t *testing.T) {
	r := NewReaderAt("outer", []byte{1, 2}, 100)
	s := r.Sub("inner", 3)
	require.ErrorIs(t, r.Err(), ErrTruncated)
	require.ErrorIs(t, s.Err(), ErrTruncated)
	require.Nil(t, NewReader("x", []byte{1}).Bytes(-1))
}

func TestAppendVecRefusesOverflow(t *testing.T) {
	_, err := AppendVec8(nil, make([]byte, 256))
	require.True(t, errors.Is(err, ErrTooLong))
	_, err = AppendVec16(nil, make([]byte, 65536))
	require.ErrorIs(t, err, ErrTooLong)
	b, err := AppendVec8(nil, []byte("ab"))
	require.NoError(t, err)
	require.Equal(t, []byte{2, 'a', 'b'}, b)
	b, err = AppendVec32(nil, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 1, 'a'}, b)
	require.Equal(t, []byte{1, 2, 3}, AppendU24(nil, 0xff010203))
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2}, 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		r := NewReader("fuzz", b)
		s := r.Sub("sub", n)
		s.U16()
		s.Rest()
		r.U64()
		if r.Finish() == nil && len(b) != r.Offset() {
			t.Fatalf("finished at %d of %d", r.Offset(), len(b))
		}
	})
}

func TestShiftMovesTheOffset(t *testing.T) {
	r := NewReader("inner", []byte{1})
	r.U32()
	var de *DecodeError
	require.ErrorAs(t, Shift(r.Err(), 7), &de)
	require.Equal(t, 7, de.Offset)
	require.ErrorAs(t, r.Err(), &de)
	require.Zero(t, de.Offset, "the parser's own error is as it was")
	require.NoError(t, Shift(nil, 7))
}
