package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReportMessageTypes(t *testing.T) {
	f := &fake{}
	c, _ := setup(t, Config{}, f)
	require.Equal(t, ResultSuccess, c.ReportMessageTypes(f.id, []uint32{0x00902a01, 0x005597ff}))
	require.Equal(t, []subscription{{0x902a, 1}, {0x5597, 0xff}}, *c.owner(f.id).subscribed.Load())
	require.Equal(t, ResultSuccess, c.ReportMessageTypes(f.id, nil), "0 clears")
	require.Empty(t, *c.owner(f.id).subscribed.Load())
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypesLong(f.id, []uint32{1 << 24}, []uint32{1}))
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypes(f.id, make([]uint32, MaxSubscriptions+1)))
	id, _ := c.ReserveAdditionalIMCID(f.id)
	require.Equal(t, ResultInvalidParameter, c.ReportMessageTypes(id, nil), "the primary ID only")
}
