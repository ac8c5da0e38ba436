package report

import (
	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/tnccs"
)

// Assessment is what verifiers decided, the peer's and this end's: the part that
// the outcomes of attest and pt-tls share.
type Assessment struct {
	client.Decision
	PDP  string               `json:"pdp,omitempty"`  // PT-TLS server that the gateway refers to, host:port
	Peer client.MutualVerdict `json:"peer,omitempty"` // mutual measurement: accepted, refused, unmeasured
}

// newAssessment returns what a session has come to.
func newAssessment(o *tnccs.Outcome, mutual client.MutualVerdict) Assessment {
	return Assessment{Decision: client.NewDecision(o), PDP: o.PDP, Peer: mutual}
}

// decision says a recommendation in words; why is the reason where there is none.
func decision(r client.Recommendation, why string) string {
	switch r {
	case client.Allowed:
		return "access allowed"
	case client.Isolated:
		return "isolated: only the remediation network is reachable"
	case client.Denied:
		return "access denied"
	}
	return "none: " + why
}

// write writes the rows of the decision; peer names who was measured by this end.
func (a *Assessment) write(t table, why, peer string) {
	t.decision(a.Recommendation, "decision", decision(a.Recommendation, why))
	t.why(&a.Decision)
	if a.Peer != "" {
		t.row("our verdict", "%s %s", peer, a.Peer)
	}
}

// why writes the rows of what a decision rests on.
func (t table) why(d *client.Decision) {
	if d.Assessment != "" {
		t.row("assessment", "%s", d.Assessment)
	}
	for _, r := range d.Reasons {
		t.row("reason", "%s", r.Text)
	}
	for _, r := range d.Remediation {
		t.row("what to do", "%s", r.Text)
	}
}
