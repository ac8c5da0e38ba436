package pcr

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSelection(t *testing.T) {
	s := Select(0, 10, 23, 24, -1)
	assert.Equal(t, []int{0, 10, 23}, s.PCRs())
	assert.Equal(t, 3, s.Len())
	assert.Equal(t, [3]byte{1, 4, 0x80}, s.Bitmap())
	assert.Equal(t, "0,10,23", s.String())
	assert.False(t, s.Has(24))
	assert.Equal(t, 24, Selection(0xffffffff).Len())
	assert.Equal(t, 24, All.Len())
	assert.Empty(t, Selection(0).String())
}

func TestValues(t *testing.T) {
	v := Values{10: {1, 2}, 0: {3, 4}, 16: {5, 6}}
	assert.Equal(t, []int{0, 10, 16}, v.PCRs())
	assert.Equal(t, Select(0, 10, 16), v.Selection())
	assert.Equal(t, []byte{3, 4, 1, 2, 5, 6}, v.Concat())
	assert.Zero(t, Values(nil).Selection())
}
