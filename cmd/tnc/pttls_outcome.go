package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/tnccs"
)

// ptTLSOutcome is what a run came to; --json prints it.
type ptTLSOutcome struct {
	Server         string `json:"server"` // address and port
	ServerID       string `json:"server_id"`
	Identity       string `json:"identity"`
	Authentication string `json:"authentication,omitempty"` // of ours: certificate, SASL PLAIN, …, none
	TLS            string `json:"tls,omitempty"`
	assessed
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

// take brings in what the session has come to.
func (out *ptTLSOutcome) take(s *tnccs.Session) {
	o := s.Outcome()
	out.Batches, out.BytesSent, out.BytesReceived = o.BatchesSent+o.BatchesReceived, o.BytesSent, o.BytesReceived
	out.assessed.take(s)
}

// settle fixes the exit code. Without a recommendation nothing was granted.
func (out *ptTLSOutcome) settle(err error) {
	out.Error = ""
	switch {
	case out.Recommendation == recDenied:
		out.ExitCode = exitDenied
	case err != nil:
		out.ExitCode, out.Error = exitFailure, err.Error()
	case out.Recommendation == recIsolated:
		out.ExitCode = exitIsolated
	case out.Recommendation == recAllowed:
		out.ExitCode = exitAllowed
	default:
		out.ExitCode, out.Error = exitFailure, "the server ended the assessment without a recommendation"
	}
}

func (out *ptTLSOutcome) writeTable(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, text.Printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(t, "%s\n", text.Printable(out.Server))
	switch out.Recommendation {
	case recAllowed:
		row("decision", "access allowed")
	case recIsolated:
		row("decision", "isolated: only the remediation network is reachable")
	case recDenied:
		row("decision", "access denied")
	default:
		row("decision", "none: %s", out.Error)
	}
	if out.Assessment != "" {
		row("assessment", "%s", out.Assessment)
	}
	for _, r := range out.Reasons {
		row("reason", "%s", r.Text)
	}
	for _, r := range out.Remediation {
		row("what to do", "%s", r.Text)
	}
	if out.Peer != "" {
		row("our verdict", "server %s", out.Peer)
	}
	row("server", "%s, %s", out.ServerID, out.TLS)
	who := out.Authentication
	if out.Identity != "" {
		who = out.Identity + ", " + who
	}
	row("identity", "%s", who)
	if len(out.IMCs) > 0 {
		row("measured by", "%s", strings.Join(out.IMCs, ", "))
	}
	row("cost", "%d batches, %d octets sent, %d received, %v", out.Batches, out.BytesSent, out.BytesReceived,
		time.Duration(out.Seconds*float64(time.Second)).Round(time.Millisecond))
	_ = t.Flush()
}
