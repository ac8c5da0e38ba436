package report

import (
	"errors"
	"io"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/tnccs"
)

// PTTLSOutcome is what a run of pt-tls came to, as `--json` prints it; its field
// names are an interface for scripts.
type PTTLSOutcome struct {
	Server         string `json:"server"` // address and port
	ServerID       string `json:"server_id"`
	Identity       string `json:"identity"`
	Authentication string `json:"authentication,omitempty"` // of this end: certificate, SASL PLAIN, …, none
	TLS            string `json:"tls,omitempty"`
	Assessment
	IMCs          []string `json:"imcs"`
	Batches       int      `json:"batches"`
	BytesSent     int64    `json:"bytes_sent"` // of batches
	BytesReceived int64    `json:"bytes_received"`
	Seconds       float64  `json:"seconds"`
	Error         string   `json:"error,omitempty"`

	// Explained is what was asked and answered, with --explain.
	Explained []explain.Row `json:"explained,omitempty"`

	ExitCode int `json:"exit_code"`
}

// Update brings in what the session has come to.
func (out *PTTLSOutcome) Update(s *tnccs.Session) {
	o := s.Outcome()
	out.Batches, out.BytesSent, out.BytesReceived = o.BatchesSent+o.BatchesReceived, o.BytesSent, o.BytesReceived
	out.Assessment = newAssessment(&o, client.VerdictOf(s))
}

// errNoRecommendation: without a recommendation nothing was granted.
var errNoRecommendation = errors.New("the server ended the assessment without a recommendation")

// SetExit sets the exit code; err is why the run failed, nil where it did not.
func (out *PTTLSOutcome) SetExit(err error) {
	if err == nil && out.Recommendation == client.None {
		err = errNoRecommendation
	}
	out.ExitCode, out.Error = outcomeExit(out.Recommendation, err)
}

// Exit returns what the command ends with.
func (out *PTTLSOutcome) Exit() error { return exitWith(out.ExitCode, errors.New(out.Error)) }

// WriteTable writes the outcome for people.
func (out *PTTLSOutcome) WriteTable(w io.Writer) {
	t := newTable(w, out.Server)
	out.write(t.row, out.Error, "server")
	t.row("server", "%s, %s", out.ServerID, out.TLS)
	who := out.Authentication
	if out.Identity != "" {
		who = out.Identity + ", " + who
	}
	t.row("identity", "%s", who)
	if len(out.IMCs) > 0 {
		t.row("measured by", "%s", strings.Join(out.IMCs, ", "))
	}
	t.row("cost", "%d batches, %d octets sent, %d received, %v", out.Batches, out.BytesSent, out.BytesReceived, duration(out.Seconds))
	_ = t.Flush()
}
