package report

import (
	"errors"
	"io"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/cmd/tnc/internal/pttls"
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
	client.Failure

	// Explained is what was asked and answered, with --explain.
	Explained []explain.Row `json:"explained,omitempty"`

	ExitCode int `json:"exit_code"`

	err error // that Error says
}

// errNoRecommendation is a failure: without a recommendation nothing was granted.
var errNoRecommendation = errors.New("the server ended the assessment without a recommendation")

// NewPTTLSOutcome returns the outcome of a run; err is why it failed, as
// ExplainPTTLS words it, nil where it did not.
func NewPTTLSOutcome(r pttls.Result, err error) *PTTLSOutcome {
	o := &r.Outcome
	out := &PTTLSOutcome{
		Server: r.Server, ServerID: r.ServerID, Identity: r.Identity, Authentication: r.Authentication, TLS: r.TLS,
		Assessment: newAssessment(o, r.Mutual), IMCs: r.IMCs,
		Batches: o.BatchesSent + o.BatchesReceived, BytesSent: o.BytesSent, BytesReceived: o.BytesReceived, Seconds: r.Duration.Seconds(),
	}
	if err == nil && out.Recommendation == client.None {
		err = errNoRecommendation
	}
	out.err = err
	out.ExitCode, out.Failure = outcomeExit(out.Recommendation, err)
	return out
}

// Exit returns what the command ends with.
func (out *PTTLSOutcome) Exit() error { return exitWith(out.ExitCode, out.err) }

// WriteTable writes the outcome for people.
func (out *PTTLSOutcome) WriteTable(w io.Writer) {
	t := newTable(w, out.Server)
	out.write(t, out.Error, "server")
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
	t.Flush()
}
