package imc

import (
	"context"
	"log/slog"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

func (a *Agent) infof(format string, v ...any) { log.Infof(a.log, format, v...) }

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
		log.Detailf(l, format, v...)
	}
}
