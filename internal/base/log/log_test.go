package log

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinesCarryTheirGroup(t *testing.T) {
	var b bytes.Buffer
	l := NewWriter(&b, slog.LevelInfo)
	pts := Group(l, PTS)
	pts.Info("loaded AIK", "path", "/a b")
	pts.Debug("not shown")
	l.With("id", 7).Warn("plain")
	require.Equal(t, "[PTS] loaded AIK path=\"/a b\"\n[LIB] plain id=7\n", b.String())
	Group(nil, TNC).Info("dropped, and no panic")
}
