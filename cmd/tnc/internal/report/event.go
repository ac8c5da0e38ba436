package report

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
	"github.com/gotnc/gotnc/internal/base/text"
)

// eventWords say what happened.
var eventWords = map[client.EventKind]string{
	client.EventUp:         "up",
	client.EventReattested: "attested again",
	client.EventFailed:     "failed",
	client.EventLost:       "lost",
	client.EventTrapped:    "waits for packets",
	client.EventEnded:      "ended",
}

// EventLine says in a printable sentence what happened to a connection.
func EventLine(e client.Event) string {
	s := fmt.Sprintf("%s: %s", e.Connection, eventWords[e.Kind])
	if d := e.Recommendation; d != client.None || e.Kind == client.EventReattested {
		s += ", " + decision(d, "no decision")
	}
	for _, r := range e.Reasons {
		s += "; " + r.Text
	}
	if e.Error != "" {
		s += ": " + e.Error
	}
	if !e.NextAttempt.IsZero() {
		s += fmt.Sprintf("; next try in %v", max(e.NextAttempt.Sub(e.Time), 0).Round(time.Second))
	}
	return text.Printable(s)
}

// WriteEvent writes what came of an attestation for people.
func WriteEvent(w io.Writer, e client.Event) {
	t := newTable(w, e.Connection, eventWords[e.Kind])
	why := "the gateway asked for no attestation"
	if e.Error != "" {
		why = e.Error
	}
	t.decision(e.Recommendation, "decision", decision(e.Recommendation, why))
	t.why(&e.Decision)
	t.row("gateway", "%s, %s", e.GatewayID, e.Gateway)
	t.Flush()
}

// EventExit returns what a command ends with that printed an event.
func EventExit(e client.Event) error {
	switch {
	case e.Recommendation == client.Denied:
		return &Printed{ExitDenied}
	case e.Error != "":
		return errors.New(e.Error)
	case e.Recommendation == client.Isolated:
		return &Printed{ExitIsolated}
	}
	return nil
}

// WriteHistory writes events for people, oldest first.
func WriteHistory(w io.Writer, all []client.Event) {
	t := terminal.NewTable(w, 0)
	for _, e := range all {
		what := e.Error
		for _, r := range e.Reasons {
			if what != "" {
				what += "; "
			}
			what += r.Text
		}
		decided := terminal.Cell{Text: "-", Colour: colourOf(e.Recommendation)}
		if e.Recommendation != client.None {
			decided.Text = string(e.Recommendation)
		}
		t.Cells(terminal.Cell{Text: e.Time.Local().Format(time.DateTime)}, terminal.Cell{Text: eventWords[e.Kind]}, decided, terminal.Cell{Text: what})
	}
	t.Flush()
}
