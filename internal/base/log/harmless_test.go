package log

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a peer's text does to a terminal, it does not by way of the log.
func TestLogIsHarmless(t *testing.T) {
	var b bytes.Buffer
	l := Group(NewWriter(&b, slog.LevelInfo), TNC)
	l.Info("two\n\tlines \x1b[2J\x9b\xff \u202eé", "key", "\x1b]0;x\a")
	require.Contains(t, b.String(), "[TNC] two\n\tlines  [2J\ufffd\ufffd  é")
	require.NotContains(t, b.String(), "\x1b")
	require.NotContains(t, b.String(), "\a")
}
