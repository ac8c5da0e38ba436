package main

import "github.com/gotnc/gotnc/tnccs"

// assessed is what verifiers decided, theirs and ours: the part that the outcomes
// of attest and pt-tls share.
type assessed struct {
	Recommendation string      `json:"recommendation"` // allowed, isolated, denied, none
	Assessment     string      `json:"assessment,omitempty"`
	Reasons        []localized `json:"reasons,omitempty"`
	Remediation    []localized `json:"remediation,omitempty"`
	PDP            string      `json:"pdp,omitempty"`  // PT-TLS server that the gateway refers to, host:port
	Peer           string      `json:"peer,omitempty"` // mutual measurement: accepted, refused, unmeasured
}

// localized is a sentence of the gateway's, with its language tag (RFC 4646).
type localized struct {
	Text     string `json:"text"`
	Language string `json:"language,omitempty"`
}

// Recommendations of the gateway.
const (
	recAllowed  = "allowed"
	recIsolated = "isolated"
	recDenied   = "denied"
	recNone     = "none"
)

// take brings in what a session has come to.
func (a *assessed) take(s *tnccs.Session) {
	o := s.Outcome()
	*a = assessed{Recommendation: recNone, PDP: o.PDP, Peer: peerVerdict(s)}
	switch o.Recommendation {
	case tnccs.RecommendAllow:
		a.Recommendation = recAllowed
	case tnccs.RecommendIsolate:
		a.Recommendation = recIsolated
	case tnccs.RecommendDeny:
		a.Recommendation = recDenied
	}
	if o.Assessment != tnccs.AssessmentNone {
		a.Assessment = o.Assessment.String()
	}
	for _, r := range o.Reasons {
		a.Reasons = append(a.Reasons, localized{r.Text, r.Language})
	}
	for _, r := range o.Remediation {
		switch {
		case r.URI != "":
			a.Remediation = append(a.Remediation, localized{Text: r.URI})
		case r.Text != "":
			a.Remediation = append(a.Remediation, localized{r.Text, r.Language})
		}
	}
}
