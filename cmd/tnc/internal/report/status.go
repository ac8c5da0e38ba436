package report

import (
	"io"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// retried says what is tried again.
var retried = map[string]string{client.RetryConnection: "to connect", client.RetryAttestation: "to attest"}

// WriteStatus writes the state of a connection for people.
func WriteStatus(w io.Writer, s client.Status) {
	t := newTable(w, s.Connection, s.State)
	if !s.Since.IsZero() {
		t.row("since", "%s (%v)", s.Since.Format(time.DateTime), time.Since(s.Since).Round(time.Second))
	}
	gateway := s.Gateway
	if s.GatewayID != "" {
		gateway = s.GatewayID + ", " + gateway
	}
	t.row("gateway", "%s%s", gateway, over(s.Transport))
	if !s.LastHeard.IsZero() {
		t.row("last heard", "%v ago", time.Since(s.LastHeard).Round(time.Second))
	}
	for _, a := range s.Attempts {
		t.row("tried", "%v (%v ago)", a, time.Since(a.At).Round(time.Second))
	}
	if s.Error != "" {
		t.Cells(terminal.Cell{Text: "  failed", Colour: terminal.Bad}, terminal.Cell{Text: s.Error})
	}
	if !s.NextAttempt.IsZero() {
		t.row("next try", "%s in %v", retried[s.Retrying], max(time.Until(s.NextAttempt), 0).Round(time.Second))
	}
	t.row("identity", "%s", s.Identity)
	t.decision(s.Recommendation, "decision", decision(s.Recommendation, "nothing was decided"))
	t.why(&s.Decision)
	if s.Recommendation == client.Isolated && s.State == client.Up {
		t.row("", "put that right, then: tnc reattest %s", s.Connection)
	}
	if s.IKEProposal != "" {
		t.row("IKE_SA", "%s", strings.TrimPrefix(s.IKEProposal, "IKE:"))
	}
	for _, c := range s.Children {
		t.child(c.Name+": ", c.Child)
	}
	if len(s.VirtualIPs) > 0 {
		t.row("virtual IP", "%s", strings.Join(s.VirtualIPs, " "))
	}
	if len(s.DNS) > 0 {
		via := ""
		if s.DNSVia != "" {
			via = ", given to " + s.DNSVia
		}
		t.row("DNS", "%s%s", strings.Join(s.DNS, " "), via)
	}
	t.row("data plane", "%s %s", s.Dataplane, s.Device)
	t.row("traffic", "in %d packets, %d bytes; out %d packets, %d bytes", s.PacketsIn, s.BytesIn, s.PacketsOut, s.BytesOut)
	t.row("rekeyings", "%d, reconnections %d", s.Rekeyings, s.Reconnects)
	t.Flush()
}

// over names the transport where it is not the usual one.
func over(transport string) string {
	if transport == client.TransportTCP {
		return " over TCP"
	}
	return ""
}
