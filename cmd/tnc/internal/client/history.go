package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs"
)

// EventKind says what happened to a connection.
type EventKind string

// Kinds of events.
const (
	EventUp         EventKind = "up"         // the tunnel is up, first or again
	EventReattested EventKind = "reattested" // a new IKE_SA took over, with a decision of its own
	EventFailed     EventKind = "failed"     // no connection came of a try, or of an attestation while up
	EventLost       EventKind = "lost"       // it was up, and is made again
	EventTrapped    EventKind = "trapped"    // it waits for packets
	EventEnded      EventKind = "ended"      // the run is over
)

// Event is something that happened to a connection that stays. Its JSON names are an
// interface for scripts (docs/json.md).
type Event struct {
	Time       time.Time `json:"time"`
	Connection string    `json:"connection"`
	Kind       EventKind `json:"event"`
	PID        int       `json:"pid"`
	Gateway    string    `json:"gateway,omitempty"`
	GatewayID  string    `json:"gateway_id,omitempty"`
	Identity   string    `json:"identity,omitempty"`
	Decision
	Failure
	NextAttempt time.Time `json:"next_attempt,omitzero"`
}

// Decision is what the gateway's verifiers decided, and why.
type Decision struct {
	Recommendation Recommendation `json:"recommendation"` // allowed, isolated, denied, none
	Assessment     string         `json:"assessment,omitempty"`
	Reasons        []Localized    `json:"reasons,omitempty"`
	Remediation    []Localized    `json:"remediation,omitempty"`
}

// Failure is why something failed; the zero value is none.
type Failure struct {
	Error     string `json:"error,omitempty"` // a sentence that says what to do
	ErrorCode string `json:"error_code,omitempty"`
}

// Localized is a sentence of the peer's, with its language tag (RFC 4646).
type Localized struct {
	Text     string `json:"text"`
	Language string `json:"language,omitempty"`
}

// NewDecision returns what a session has come to.
func NewDecision(o *tnccs.Outcome) Decision {
	d := Decision{Recommendation: RecommendationOf(o.Recommendation)}
	if o.Assessment != tnccs.AssessmentNone {
		d.Assessment = o.Assessment.String()
	}
	for _, r := range o.Reasons {
		d.Reasons = append(d.Reasons, Localized{r.Text, r.Language})
	}
	for _, r := range o.Remediation {
		switch {
		case r.URI != "":
			d.Remediation = append(d.Remediation, Localized{Text: r.URI})
		case r.Text != "":
			d.Remediation = append(d.Remediation, Localized{r.Text, r.Language})
		}
	}
	return d
}

// Caps of what is kept of a decision, and of the history.
const (
	maxSentences = 16
	maxSentence  = 1 << 10 // octets
	MaxHistory   = 200     // events
)

// clipped returns the decision within its caps.
func (d Decision) clipped() Decision {
	clip := func(all []Localized) (out []Localized) {
		for _, l := range all[:min(len(all), maxSentences)] {
			out = append(out, Localized{text.Clip(l.Text, maxSentence), text.Clip(l.Language, 64)})
		}
		return out
	}
	d.Reasons, d.Remediation = clip(d.Reasons), clip(d.Remediation)
	return d
}

// happened records an event with its cause, and reports it. decided says whether the
// newest session belongs to it.
func (c *Client) happened(kind EventKind, cause error, decided bool, next time.Time) {
	if !c.cfg.Stay {
		return
	}
	var decision Decision
	if session, begun := c.state.newestSession(); decided && begun {
		o := session.Outcome()
		decision = NewDecision(&o).clipped()
	}
	if decision.Recommendation == "" {
		decision.Recommendation = None
	}
	failure := c.failureOf(cause)
	e := c.state.happened(kind, decision, failure, next)
	if err := c.runDir.appendHistory(e); err != nil {
		log.Warnf(log.Group(c.logger, log.DMN), "write the history: %v", err)
	}
	c.watchers.tell(e)
	if c.cfg.OnEvent != nil {
		c.cfg.OnEvent(e)
	}
}

// failureOf words an error.
func (c *Client) failureOf(err error) Failure {
	switch {
	case err == nil:
		return Failure{}
	case c.cfg.Words == nil:
		return Failure{Error: err.Error()}
	}
	sentence, code := c.cfg.Words(c.result(), c.cause(err))
	return Failure{text.Clip(sentence, 4*maxSentence), code}
}

// happened takes an event into the state and completes it.
func (s *state) happened(kind EventKind, d Decision, f Failure, next time.Time) Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := Event{
		Time: time.Now(), Connection: s.result.Connection, Kind: kind, PID: os.Getpid(),
		GatewayID: s.result.GatewayID, Identity: s.result.Identity, Decision: d, Failure: f, NextAttempt: next,
	}
	if s.result.Gateway.IsValid() {
		e.Gateway = s.result.Gateway.String()
	}
	s.failure = f
	switch {
	case kind == EventUp, kind == EventReattested, d.Recommendation != None:
		s.decision = d
	}
	return e
}

// appendHistory adds an event to the file of the connection, of which the newest
// MaxHistory stay. Without run files it does nothing.
func (f *runFiles) appendHistory(e Event) error {
	if f == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	old, err := readLimited(f.path(historyExt), maxHistoryFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := bytes.SplitAfter(old, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 || !bytes.HasSuffix(old, []byte("\n")) {
		lines = lines[:len(lines)-1]
	}
	lines = lines[max(0, len(lines)-MaxHistory+1):]
	return f.writeFile(historyExt, append(bytes.Join(lines, nil), append(line, '\n')...), 0o644)
}

// maxHistoryFile is how much of a history is read: its events with room to spare.
const maxHistoryFile = MaxHistory * (2*maxSentences + 8) * (2 * maxSentence)

// History returns what happened to a connection, oldest first: the newest MaxHistory
// events since the machine was started.
func (d RunDir) History(name string) ([]Event, error) {
	b, err := readLimited(d.file(name, historyExt), maxHistoryFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &NoHistoryError{name}
	case err != nil:
		return nil, err
	}
	var all []Event
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, len(b)+1)
	for s.Scan() {
		var e Event
		if json.Unmarshal(s.Bytes(), &e) == nil {
			all = append(all, e)
		}
	}
	return all, nil
}

// NoHistoryError is the error of a connection that was not up since the machine was
// started.
type NoHistoryError struct{ Connection string }

func (e *NoHistoryError) Error() string {
	return "connection \"" + text.Printable(e.Connection) + "\" was not up since this machine was started"
}
