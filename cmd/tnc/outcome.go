package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs"

	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
)

// outcome is what one connection came to. `--json` prints it; its field names
// are an interface for scripts.
type outcome struct {
	Connection string `json:"connection"`
	Gateway    string `json:"gateway"`    // address and port
	GatewayID  string `json:"gateway_id"` // as authenticated
	Identity   string `json:"identity"`   // ours
	assessed
	IMCs          []string `json:"imcs"`
	Batches       int      `json:"batches"`   // PB-TNC, both directions
	Exchanges     int      `json:"exchanges"` // IKE requests of ours that were answered
	BytesSent     int64    `json:"bytes_sent"`
	BytesReceived int64    `json:"bytes_received"`
	Seconds       float64  `json:"seconds"`
	IKEProposal   string   `json:"ike_proposal,omitempty"`
	Child         *child   `json:"child,omitempty"`
	Error         string   `json:"error,omitempty"`

	// Explained is what was asked and answered, with --explain.
	Explained []explain.Row `json:"explained,omitempty"`

	ExitCode int `json:"exit_code"`
}

// child is the CHILD_SA of the connection.
type child struct {
	Name     string   `json:"name"`
	SPIIn    string   `json:"spi_in"`
	SPIOut   string   `json:"spi_out"`
	Proposal string   `json:"proposal"`
	LocalTS  []string `json:"local_ts"`
	RemoteTS []string `json:"remote_ts"`
}

// setExit settles the exit code from the recommendation; err is why the
// connection failed, if it did.
func (o *outcome) setExit(err error) {
	switch {
	case o.Recommendation == recDenied:
		o.ExitCode = exitDenied
	case err != nil:
		o.ExitCode, o.Error = exitFailure, err.Error()
	case o.Recommendation == recIsolated:
		o.ExitCode = exitIsolated
	default:
		o.ExitCode = exitAllowed
	}
}

func (o *outcome) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(o)
}

// decision says the recommendation in words.
func (o *outcome) decision() string {
	switch o.Recommendation {
	case recAllowed:
		return "access allowed"
	case recIsolated:
		return "isolated: only the remediation network is reachable"
	case recDenied:
		return "access denied"
	}
	if o.Error != "" {
		return "none: " + o.Error
	}
	return "none: the gateway asked for no attestation"
}

// writeTable prints the outcome for people; more are further rows.
func (o *outcome) writeTable(w io.Writer, more ...[2]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(t, "%s\n", o.Connection)
	row("decision", "%s", text.Printable(o.decision()))
	if o.Assessment != "" {
		row("assessment", "%s", o.Assessment)
	}
	for _, r := range o.Reasons {
		row("reason", "%s", text.Printable(r.Text))
	}
	for _, r := range o.Remediation {
		row("what to do", "%s", text.Printable(r.Text))
	}
	if o.Peer != "" {
		row("our verdict", "gateway %s", o.Peer)
	}
	if o.PDP != "" {
		row("policy server", "%s, which `tnc pt-tls` attests to", text.Printable(o.PDP))
	}
	row("gateway", "%s, %s", text.Printable(o.GatewayID), o.Gateway)
	row("identity", "%s", o.Identity)
	if len(o.IMCs) > 0 {
		row("measured by", "%s", strings.Join(o.IMCs, ", "))
	}
	if o.IKEProposal != "" {
		row("IKE_SA", "%s", strings.TrimPrefix(o.IKEProposal, "IKE:"))
	}
	if c := o.Child; c != nil {
		row("CHILD_SA", "%s, %s === %s, SPIs %s_i %s_o", strings.TrimPrefix(c.Proposal, "ESP:"),
			strings.Join(c.LocalTS, " "), strings.Join(c.RemoteTS, " "), c.SPIIn, c.SPIOut)
	}
	row("cost", "%d exchanges, %d batches, %d octets sent, %d received, %v",
		o.Exchanges, o.Batches, o.BytesSent, o.BytesReceived, time.Duration(o.Seconds*float64(time.Second)).Round(time.Millisecond))
	for _, m := range more {
		row(m[0], "%s", m[1])
	}
	_ = t.Flush()
}

// settle brings the figures of the outcome up to date.
func (c *connection) settle() {
	if !c.up || c.out.Seconds == 0 {
		c.out.Seconds = time.Since(c.started).Seconds()
	}
	if c.sock != nil {
		st := c.sock.Stats()
		c.out.Exchanges, c.out.BytesSent, c.out.BytesReceived = st.Exchanges, st.BytesSent, st.BytesReceived
	}
	if c.session == nil {
		return
	}
	o := c.session.Outcome()
	c.out.Batches = o.BatchesSent + o.BatchesReceived
	c.out.take(c.session)
}

// peerVerdict says in a word what mutual measurement came to; empty where there
// was none and none is required.
func peerVerdict(s *tnccs.Session) string {
	switch err := s.PeerVerdict(); {
	case errors.Is(err, tnccs.ErrPeerRefused):
		return "refused"
	case err != nil:
		return "unmeasured"
	case s.Outcome().Mutual:
		return "accepted"
	}
	return ""
}
