package log

import (
	"context"
	"fmt"
	"log/slog"
)

// Infof logs a line at slog.LevelInfo, strongSwan's level 1. As with the other
// functions of this file, nothing is formatted where the level is disabled.
func Infof(l *slog.Logger, format string, args ...any) { logf(l, slog.LevelInfo, format, args) }

// Detailf logs a line at LevelDetail, strongSwan's level 2.
func Detailf(l *slog.Logger, format string, args ...any) { logf(l, LevelDetail, format, args) }

// Debugf logs a line at slog.LevelDebug, strongSwan's level 3.
func Debugf(l *slog.Logger, format string, args ...any) { logf(l, slog.LevelDebug, format, args) }

// Warnf logs a line at slog.LevelWarn.
func Warnf(l *slog.Logger, format string, args ...any) { logf(l, slog.LevelWarn, format, args) }

// Errorf logs a line at slog.LevelError.
func Errorf(l *slog.Logger, format string, args ...any) { logf(l, slog.LevelError, format, args) }

// Enabled reports whether l logs at the level, for calls whose arguments cost
// something to make.
func Enabled(l *slog.Logger, level slog.Level) bool { return l.Enabled(context.Background(), level) }

func logf(l *slog.Logger, level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.Enabled(ctx, level) {
		l.Log(ctx, level, fmt.Sprintf(format, args...))
	}
}
