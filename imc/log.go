package imc

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/log"
)

func (a *Agent) infof(format string, v ...any) { a.log.Info(fmt.Sprintf(format, v...)) }

func (a *Agent) detailf(format string, v ...any) { detail(a.log, format, v...) }

// dump logs octets at strongSwan's level 3, after a text.
func dump(l *slog.Logger, text string, octets []byte) {
	l.LogAttrs(context.Background(), slog.LevelDebug, text, log.Octets(octets))
}

// dumpValue logs the value of an attribute.
func (a *Agent) dumpValue(v patnc.Value) {
	if !a.tnc.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	if b, err := v.AppendValue(nil); err == nil {
		dump(a.tnc, "", b)
	}
}

func detail(l *slog.Logger, format string, v ...any) {
	if ctx := context.Background(); l.Enabled(ctx, log.LevelDetail) {
		l.Log(ctx, log.LevelDetail, fmt.Sprintf(format, v...))
	}
}
