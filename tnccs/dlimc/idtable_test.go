//go:build cgo && unix

package dlimc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
)

// Two clients in one process, which both count from 1.
func TestIDTable(t *testing.T) {
	table := idTable{m: map[uint32]idEntry{}}
	one, two, a, b := &tnccs.Client{}, &tnccs.Client{}, &module{}, &module{}
	a.id = table.assign(a, 1, one)
	b.id = table.assign(b, 1, two)
	require.EqualValues(t, 1, a.id)
	require.EqualValues(t, 2, b.id)
	h, id := table.host(2)
	require.Same(t, two, h)
	require.EqualValues(t, 1, id)

	extra := table.assignMore(b.id, 2)
	require.EqualValues(t, 3, extra)
	h, id = table.host(extra)
	require.Same(t, two, h)
	require.EqualValues(t, 2, id)
	require.EqualValues(t, 2, table.primary(extra))

	require.EqualValues(t, 2, table.local(b, 1))
	require.EqualValues(t, 3, table.local(b, 2))
	require.EqualValues(t, tnccs.AnyIMC, table.local(b, 3), "that of another library in client two: b would take it for its own")
	require.EqualValues(t, 7, table.local(b, 7))
	require.EqualValues(t, tnccs.AnyIMC, table.local(b, tnccs.AnyIMC))
	require.EqualValues(t, 1, table.local(a, 1))

	table.release(b)
	h, _ = table.host(3)
	require.Nil(t, h)
	require.Zero(t, table.assignMore(3, 4))
	require.Zero(t, table.primary(3))
	require.EqualValues(t, 2, table.assign(b, 1, two))
	require.EqualValues(t, 0xfffe, table.assign(a, 0xfffe, one))
	require.EqualValues(t, 3, table.assign(a, 0xfffe, one), "from 1 again, never 0 or TNC_IMCID_ANY")
}
