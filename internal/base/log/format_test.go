package log

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

type counted struct{ calls *int }

func (c counted) String() string { *c.calls++; return "value" }

func TestFormattedLines(t *testing.T) {
	var b bytes.Buffer
	calls := 0
	l := Group(NewWriter(&b, slog.LevelInfo), IKE)
	Infof(l, "%v %d", counted{&calls}, 1)
	Warnf(l, "w %d", 2)
	Errorf(l, "e %d", 3)
	Detailf(l, "%v", counted{&calls})
	Debugf(l, "%v", counted{&calls})
	require.Equal(t, "[IKE] value 1\n[IKE] w 2\n[IKE] e 3\n", b.String())
	require.Equal(t, 1, calls, "a disabled line is not formatted")
}

func TestADisabledLineAllocatesNothing(t *testing.T) {
	l := Discard()
	require.Zero(t, testing.AllocsPerRun(100, func() { Infof(l, "constant") }))
}
