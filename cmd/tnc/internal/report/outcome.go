package report

import (
	"io"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
)

// Outcome is what one connection came to, as `--json` prints it; its field names
// are an interface for scripts.
type Outcome struct {
	Connection string `json:"connection"`
	Gateway    string `json:"gateway"`             // address and port
	GatewayID  string `json:"gateway_id"`          // as authenticated
	Transport  string `json:"transport,omitempty"` // of IKE and ESP: udp or tcp
	Identity   string `json:"identity"`            // this end's
	Assessment
	IMCs          []string      `json:"imcs"`
	Batches       int           `json:"batches"`   // PB-TNC, both directions
	Exchanges     int           `json:"exchanges"` // IKE requests of this end that were answered
	BytesSent     int64         `json:"bytes_sent"`
	BytesReceived int64         `json:"bytes_received"`
	Seconds       float64       `json:"seconds"`
	IKEProposal   string        `json:"ike_proposal,omitempty"`
	Child         *client.Child `json:"child,omitempty"`
	// Attempts are the addresses of the gateway that did not lead to a connection.
	Attempts []client.Attempt `json:"attempts,omitempty"`
	client.Failure

	// Explained is what was asked and answered, with --explain.
	Explained []explain.Row `json:"explained,omitempty"`

	ExitCode int `json:"exit_code"`
}

// NewOutcome returns the outcome of a connection; err is why it failed, as Explain
// words it, nil where it did not.
func NewOutcome(r client.Result, err error) *Outcome {
	o := &Outcome{
		Connection: r.Connection, GatewayID: r.GatewayID, Transport: r.Transport, Identity: r.Identity,
		Assessment: newAssessment(&r.Outcome, r.Mutual), IMCs: r.IMCs,
		Batches: r.Outcome.BatchesSent + r.Outcome.BatchesReceived, Exchanges: r.Exchanges,
		BytesSent: r.BytesSent, BytesReceived: r.BytesReceived, Seconds: r.Duration.Seconds(),
		IKEProposal: r.IKEProposal, Child: r.Child, Attempts: r.Attempts,
	}
	if r.Gateway.IsValid() {
		o.Gateway = r.Gateway.String()
	}
	o.ExitCode, o.Failure = outcomeExit(o.Recommendation, err)
	return o
}

// Exit returns what the command ends with: err where it has to be printed.
func (o *Outcome) Exit(err error) error { return exitWith(o.ExitCode, err) }

// WriteTable writes the outcome for people; more are further rows.
func (o *Outcome) WriteTable(w io.Writer, more ...[2]string) {
	t := newTable(w, o.Connection)
	why := o.Error
	if why == "" {
		why = "the gateway asked for no attestation"
	}
	o.write(t, why, "gateway")
	if o.PDP != "" {
		t.row("policy server", "%s, which `tnc pt-tls` attests to", o.PDP)
	}
	t.row("gateway", "%s, %s%s", o.GatewayID, o.Gateway, over(o.Transport))
	t.row("identity", "%s", o.Identity)
	if len(o.IMCs) > 0 {
		t.row("measured by", "%s", strings.Join(o.IMCs, ", "))
	}
	if o.IKEProposal != "" {
		t.row("IKE_SA", "%s", strings.TrimPrefix(o.IKEProposal, "IKE:"))
	}
	if o.Child != nil {
		t.child("", *o.Child)
	}
	t.row("cost", "%d exchanges, %d batches, %d octets sent, %d received, %v",
		o.Exchanges, o.Batches, o.BytesSent, o.BytesReceived, duration(o.Seconds))
	for _, m := range more {
		t.row(m[0], "%s", m[1])
	}
	t.Flush()
}

// child writes the row of a CHILD_SA, which begins with prefix.
func (t table) child(prefix string, c client.Child) {
	t.row("CHILD_SA", "%s%s, %s === %s, SPIs %s_i %s_o", prefix, strings.TrimPrefix(c.Proposal, "ESP:"),
		strings.Join(c.LocalTS, " "), strings.Join(c.RemoteTS, " "), c.SPIIn, c.SPIOut)
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}
