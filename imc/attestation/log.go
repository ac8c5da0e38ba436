package attestation

import (
	"log/slog"
	"strings"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// LevelPrivate is strongSwan's level 4, beyond which it knows nothing.
const LevelPrivate = slog.LevelDebug - 4

// Level returns strongSwan's number for a level.
func Level(l slog.Level) int {
	switch {
	case l >= slog.LevelInfo:
		return 1
	case l >= log.LevelDetail:
		return 2
	case l >= slog.LevelDebug:
		return 3
	}
	return 4
}

// slogLevel is the reverse: what libimcv.debug_level lets through. Below 1 only
// errors of this library's own remain.
func slogLevel(n int) slog.Level {
	switch {
	case n <= 0:
		return slog.LevelError
	case n == 1:
		return slog.LevelInfo
	case n == 2:
		return log.LevelDetail
	case n == 3:
		return slog.LevelDebug
	}
	return LevelPrivate
}

// Severity returns OSC's number for a level, an argument of TNC_9048_LogMessage.
func Severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 0
	case l >= slog.LevelWarn:
		return 1
	case l >= slog.LevelInfo:
		return 3
	}
	return 4
}

// Lines splits a text, without the control characters by which a peer could forge
// lines or end C strings.
func Lines(s string) []string {
	return strings.Split(strings.TrimRight(text.Lines(s), "\n"), "\n")
}
