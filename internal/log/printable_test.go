package log

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":             "plain",
		"Grüße, 世界":         "Grüße, 世界",
		"a\x1b[2Jb\x7f":     "a [2Jb ",
		"two\nlines\tand\r": "two lines and ",
		"\u009bq\u2028":     " q ",
		"gpj.\u202etxt":     "gpj. txt",
		"bad\xffoctet":      "bad\uFFFDoctet",
	} {
		require.Equal(t, want, Printable(in))
	}
}

// Whatever a peer's text does to a terminal, it does not by way of the log.
func TestLogIsHarmless(t *testing.T) {
	var b bytes.Buffer
	l := Group(NewWriter(&b, slog.LevelInfo), TNC)
	l.Info("two\n\tlines \x1b[2J\x9b\xff \u202eé", "key", "\x1b]0;x\a")
	require.Contains(t, b.String(), "[TNC] two\n\tlines  [2J\ufffd\ufffd  é")
	require.NotContains(t, b.String(), "\x1b")
	require.NotContains(t, b.String(), "\a")
}
