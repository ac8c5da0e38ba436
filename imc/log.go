package imc

import (
	"context"
	"log/slog"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// maxPrinted bounds a text of a gateway in a line of log, in octets.
const maxPrinted = 2048

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
