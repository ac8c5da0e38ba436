// Package explain says in plain words what verifiers asked this machine for and
// what was answered: it lists the attributes of PA-TNC messages that were sent
// beside those that asked for them (`tnc attest --explain`).
package explain

import (
	"fmt"
	"strings"
	"sync"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs"
)

// Caps of a transcript.
const (
	maxExchanges  = 1 << 16
	maxTranscript = 256 << 20 // octets of messages
	maxRows       = 1 << 14   // of the table
	maxNames      = 4         // file names shown of a list
)

// Transcript collects the PA-TNC messages of a connection, up to caps on their
// number and octets. Its zero value is empty; it may be used from several
// goroutines.
type Transcript struct {
	mu        sync.Mutex
	exchanges []tnccs.Exchange
	octets    int
	missed    int
}

// Add keeps a message, for tnccs.Config.Trace; the transcript owns e.Body from
// then on.
func (t *Transcript) Add(e tnccs.Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.exchanges) >= maxExchanges || t.octets+len(e.Body) > maxTranscript {
		t.missed++
		return
	}
	t.exchanges = append(t.exchanges, e)
	t.octets += len(e.Body)
}

// Row is one attribute that a verifier asked for, or that was sent unasked, as
// `--json --explain` prints it. Its texts are the peers': see text.Printable.
type Row struct {
	Verifier string   `json:"verifier,omitempty"` // empty: nobody asked
	Asked    string   `json:"asked"`
	IMC      string   `json:"imc,omitempty"` // who answered
	Answers  []string `json:"answers,omitempty"`

	answer []patnc.Type // kinds of attributes that answer it
}

// Rows returns the table in the order of what happened, each answer beside the
// question that asked for it.
func (t *Transcript) Rows() []Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := &explainer{segments: map[string][]byte{}, files: map[uint16]*Row{}}
	for _, e := range t.exchanges {
		x.exchange(e)
	}
	if x.left > 0 {
		x.rows = append(x.rows, &Row{Asked: fmt.Sprintf("%d more questions and answers, too many to be told", x.left)})
	}
	if t.missed > 0 {
		x.rows = append(x.rows, &Row{Asked: fmt.Sprintf("%d more messages, too many to be kept", t.missed)})
	}
	out := make([]Row, len(x.rows))
	for i, r := range x.rows {
		out[i] = *r
	}
	return out
}

// Drain returns Rows and empties the transcript.
func (t *Transcript) Drain() []Row {
	out := t.Rows()
	t.mu.Lock()
	t.exchanges, t.octets, t.missed = nil, 0, 0
	t.mu.Unlock()
	return out
}

type explainer struct {
	rows     []*Row
	left     int             // rows that the table has no room for
	files    map[uint16]*Row // the newest of each request ID of a file measurement
	segments map[string][]byte
}

// add puts a row at the end, or counts it where there is no room.
func (x *explainer) add(r *Row) {
	if len(x.rows) == maxRows {
		x.left++
		return
	}
	x.rows = append(x.rows, r)
}

func (x *explainer) exchange(e tnccs.Exchange) {
	subtype := subtypeName(e.Vendor, e.Subtype)
	who := "the verifier"
	if e.IMV != tnccs.AnyIMV && e.IMV != 0 {
		who = fmt.Sprintf("IMV %d", e.IMV)
	}
	who += " of " + subtype
	m, err := patnc.Parse(e.Body, pts.Attributes)
	if err != nil {
		row := &Row{Asked: fmt.Sprintf("%d octets about %s that are no PA-TNC message", len(e.Body), subtype)}
		if e.Sent {
			row.IMC = strings.Join(e.IMCs, ", ")
		} else {
			row.Verifier = who
		}
		x.add(row)
		return
	}
	for _, a := range m.Attributes {
		x.attribute(e, who, a, 0)
	}
}

// attribute adds one attribute; segments are joined first.
func (x *explainer) attribute(e tnccs.Exchange, who string, a patnc.Attribute, depth int) {
	if s, ok := a.Value.(patnc.SegmentEnvelope); ok && depth == 0 {
		key := fmt.Sprint(e.Sent, e.IMC, e.IMV, e.Vendor, e.Subtype, s.BaseMessageID)
		if s.Start {
			x.segments[key] = nil
		}
		x.segments[key] = append(x.segments[key], s.Data...)
		if s.More {
			return
		}
		whole := append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, x.segments[key]...)
		delete(x.segments, key)
		if m, err := patnc.Parse(whole, pts.Attributes); err == nil {
			for _, a := range m.Attributes {
				x.attribute(e, who, a, depth+1)
			}
		}
		return
	}
	if e.Sent {
		x.sent(strings.Join(e.IMCs, ", "), a)
	} else {
		x.asked(who, e, a)
	}
}
