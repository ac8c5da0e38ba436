package report

import (
	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/tnccs"
)

// Assessment is what verifiers decided, the peer's and this end's: the part that
// the outcomes of attest and pt-tls share.
type Assessment struct {
	Recommendation client.Recommendation `json:"recommendation"` // allowed, isolated, denied, none
	Assessment     string                `json:"assessment,omitempty"`
	Reasons        []Localized           `json:"reasons,omitempty"`
	Remediation    []Localized           `json:"remediation,omitempty"`
	PDP            string                `json:"pdp,omitempty"`  // PT-TLS server that the gateway refers to, host:port
	Peer           client.MutualVerdict  `json:"peer,omitempty"` // mutual measurement: accepted, refused, unmeasured
}

// Localized is a sentence of the peer's, with its language tag (RFC 4646).
type Localized struct {
	Text     string `json:"text"`
	Language string `json:"language,omitempty"`
}

// newAssessment returns what a session has come to.
func newAssessment(o *tnccs.Outcome, mutual client.MutualVerdict) Assessment {
	a := Assessment{Recommendation: client.RecommendationOf(o.Recommendation), PDP: o.PDP, Peer: mutual}
	if o.Assessment != tnccs.AssessmentNone {
		a.Assessment = o.Assessment.String()
	}
	for _, r := range o.Reasons {
		a.Reasons = append(a.Reasons, Localized{r.Text, r.Language})
	}
	for _, r := range o.Remediation {
		switch {
		case r.URI != "":
			a.Remediation = append(a.Remediation, Localized{Text: r.URI})
		case r.Text != "":
			a.Remediation = append(a.Remediation, Localized{r.Text, r.Language})
		}
	}
	return a
}

// decision says a recommendation in words; why is the reason where there is none.
func (a *Assessment) decision(why string) string {
	switch a.Recommendation {
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
	t.decision(a.Recommendation, "decision", a.decision(why))
	if a.Assessment != "" {
		t.row("assessment", "%s", a.Assessment)
	}
	for _, r := range a.Reasons {
		t.row("reason", "%s", r.Text)
	}
	for _, r := range a.Remediation {
		t.row("what to do", "%s", r.Text)
	}
	if a.Peer != "" {
		t.row("our verdict", "%s %s", peer, a.Peer)
	}
}
