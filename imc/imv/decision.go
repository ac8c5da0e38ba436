package imv

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
)

func (v *Verifier) finding(text string) {
	if v.phase != phaseDecided && len(v.findings) < maxRecorded {
		v.findings = append(v.findings, text)
	}
}

// decide settles the recommendation and sends the IMC its assessment result.
func (v *Verifier) decide() {
	p := &v.cfg.Policy
	if p.Product != "" && !strings.HasPrefix(v.report.Product, p.Product) {
		v.finding(fmt.Sprintf("product is %q, the policy wants %q", v.report.Product, p.Product))
	}
	if len(p.Devices) > 0 && !slices.Contains(p.Devices, v.report.DeviceID) {
		v.finding(fmt.Sprintf("device %q is not known to the policy", v.report.DeviceID))
	}
	r := &v.report
	switch {
	case p.Force != None:
		r.Recommendation = p.Force
	case v.silent:
		r.Recommendation = orElse(p.OnSilence, Deny)
	case len(v.findings) > 0:
		r.Recommendation = orElse(p.OnMismatch, Isolate)
	default:
		r.Recommendation = Allow
	}
	r.Decided = true
	if r.Recommendation != Allow {
		r.Reason = v.reason()
	}
	v.phase = phaseDecided
	log.Infof(v.imv, "IMV %d provides recommendation '%s' and evaluation '%s'", v.cfg.ID, r.Recommendation, v.assessment())
	if !v.silent {
		to := v.ptsAddress()
		v.reply(to, patnc.Skip(patnc.AssessmentResult{Result: patnc.Assessment(v.assessment())}))
		if p.Remediation != "" && r.Recommendation != Allow {
			v.reply(to, patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationURI, URI: p.Remediation}))
		}
	}
}

func orElse(r, fallback Recommendation) Recommendation {
	if r == None {
		return fallback
	}
	return r
}

func (v *Verifier) assessment() pb.Assessment {
	switch {
	case v.silent:
		return pb.DontKnow
	case v.report.Recommendation == Allow:
		return pb.Compliant
	case v.report.Recommendation == Isolate:
		return pb.MinorFailure
	}
	return pb.MajorFailure
}

// reason is the sentence for the client.
func (v *Verifier) reason() string {
	if v.cfg.Policy.Reason != "" {
		return v.cfg.Policy.Reason
	}
	text := "Access is restricted by the policy of this gateway"
	if len(v.findings) > 0 {
		text = strings.Join(v.findings, "; ")
	}
	text = strings.ReplaceAll(text, "\x00", "?")
	if len(text) > maxReason {
		text = text[:maxReason]
		for !utf8.ValidString(text) && len(text) > maxReason-utf8.UTFMax {
			text = text[:len(text)-1]
		}
		text += " …"
	}
	return text
}

// Result returns the recommendation once there is one.
func (v *Verifier) Result() (server.Result, bool) {
	if v.phase != phaseDecided {
		return server.Result{}, false
	}
	r := server.Result{Assessment: v.assessment(), Access: pb.AccessDenied}
	switch v.report.Recommendation {
	case Allow:
		r.Access = pb.AccessAllowed
	case Isolate:
		r.Access = pb.Quarantined
	}
	if v.report.Reason != "" {
		lang := v.cfg.Policy.Language
		if lang == "" {
			lang = "en"
		}
		r.Reasons = []pb.ReasonString{{Text: v.report.Reason, Language: lang}}
	}
	if r.Access != pb.AccessAllowed {
		r.URI = v.cfg.Policy.Remediation
	}
	return r, true
}
