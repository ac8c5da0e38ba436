// Package log gives every message its group tag ([IKE], [TNC], [PTS] …), the
// way strongSwan's users read their logs. Libraries take a *slog.Logger and
// never print; only commands choose where lines go.
package log

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/gotnc/gotnc/internal/base/text"
)

// Groups, as strongSwan names them.
const (
	DMN = "DMN" // the program itself
	CFG = "CFG" // configuration and credentials
	IKE = "IKE" // IKE_SA and EAP
	ENC = "ENC" // what messages consist of
	NET = "NET" // datagrams sent and received
	CHD = "CHD" // CHILD_SAs
	ESP = "ESP" // ESP packets
	KNL = "KNL" // kernel interfaces: TUN, routes, XFRM
	TLS = "TLS" // TLS and its records
	TNC = "TNC" // the TNC client
	IMC = "IMC" // Integrity Measurement Collectors
	IMV = "IMV" // Integrity Measurement Verifiers
	PTS = "PTS" // Platform Trust Services
	LIB = "LIB" // everything else
)

// groupKey is the attribute that carries the group.
const groupKey = "group"

// LevelDetail is for what strongSwan logs at level 2 and up; slog.LevelInfo is
// its level 1, slog.LevelDebug its level 3.
const LevelDetail = slog.Level(-2)

// Group returns l with the group tag name; a nil l discards.
func Group(l *slog.Logger, name string) *slog.Logger {
	if l == nil {
		return Discard()
	}
	return l.With(groupKey, name)
}

// Discard returns a logger that drops everything.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Record is one line, ready for a sink.
type Record struct {
	Level slog.Level
	Group string // three letters; LIB where the logger has none
	Text  string // message, then attributes as key=value

	Octets []byte // of Octets, nil for none; String shows them
}

// NewHandler returns a slog.Handler that passes records of at least level to
// sink, one at a time.
func NewHandler(level slog.Leveler, sink func(Record)) slog.Handler {
	return &handler{level: level, sink: sink, mu: new(sync.Mutex), group: LIB}
}

// NewConcurrentHandler is NewHandler for a sink that may be called from several
// goroutines at once, and from inside itself: nothing is locked meanwhile.
func NewConcurrentHandler(level slog.Leveler, sink func(Record)) slog.Handler {
	return &handler{level: level, sink: sink, group: LIB}
}

// NewWriter returns a logger that writes "[GRP] text" lines to w, in journald's
// form where w is its stream.
func NewWriter(w io.Writer, level slog.Leveler) *slog.Logger {
	line := LineFor(w)
	return slog.New(NewHandler(level, func(r Record) { fmt.Fprintln(w, line(r)) }))
}

type handler struct {
	level slog.Leveler
	sink  func(Record)
	mu    *sync.Mutex // nil: the sink takes records at once
	group string
	attrs string
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	group := h.group
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	var dump []byte
	r.Attrs(func(a slog.Attr) bool {
		if o, ok := a.Value.Any().(octets); ok {
			if dump = o; dump == nil {
				dump = []byte{}
			}
		} else if a.Key == groupKey {
			group = a.Value.String()
		} else {
			writeAttr(&b, a)
		}
		return true
	})
	if h.mu != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
	}
	h.sink(Record{Level: r.Level, Group: group, Text: text.Lines(b.String()), Octets: dump})
	return nil
}

func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	n := *h
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range as {
		if a.Key == groupKey {
			n.group = a.Value.String()
		} else {
			writeAttr(&b, a)
		}
	}
	n.attrs = b.String()
	return &n
}

func (h *handler) WithGroup(string) slog.Handler { return h }

func writeAttr(b *strings.Builder, a slog.Attr) {
	v := a.Value.Resolve().String()
	if strings.ContainsAny(v, " \n\"") {
		v = fmt.Sprintf("%q", v)
	}
	fmt.Fprintf(b, " %s=%s", a.Key, v)
}
