//go:build cgo && unix

package dlimc

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
)

// FuzzLines: an IMC's output makes one line of log a line, without control
// characters, and no mark that was not sent.
func FuzzLines(f *testing.F) {
	f.Add("[PTS] text")
	f.Add("x\x0000000007")
	f.Add("\x00zz\x1b[31m")
	f.Fuzz(func(t *testing.T, s string) {
		s, _, _ = strings.Cut(s, "\n")
		var out strings.Builder
		l := newLines(nil, log.NewWriter(&out, slog.LevelDebug))
		l.line(s)
		require.LessOrEqual(t, strings.Count(out.String(), "\n"), 2)
		require.False(t, strings.ContainsAny(out.String(), "\x00\x1b\r"))
		if !strings.Contains(s, "\x00") {
			require.Zero(t, l.seen)
		}
	})
}
