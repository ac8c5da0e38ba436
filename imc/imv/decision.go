package imv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// finding records what speaks against the client, one sentence.
func (v *Verifier) finding(sentence string) {
	if v.phase != phaseDecided && len(v.findings) < maxRecorded {
		v.findings = append(v.findings, sentence)
	}
}

// decide fixes the recommendation and sends the IMC its assessment result.
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
		v.reply(to, patnc.Skip(patnc.AssessmentResult{Result: v.assessment()}))
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

func (v *Verifier) assessment() patnc.Assessment {
	switch {
	case v.silent:
		return patnc.AssessmentUnknown
	case v.report.Recommendation == Allow:
		return patnc.Compliant
	case v.report.Recommendation == Isolate:
		return patnc.NonCompliantMinor
	}
	return patnc.NonCompliantMajor
}

// reason is the sentence for the client.
func (v *Verifier) reason() string {
	if v.cfg.Policy.Reason != "" {
		return v.cfg.Policy.Reason
	}
	sentence := "Access is restricted by the policy of this gateway"
	if len(v.findings) > 0 {
		sentence = strings.Join(v.findings, "; ")
	}
	sentence = strings.ReplaceAll(sentence, "\x00", "?")
	if len(sentence) > maxReason {
		sentence = text.Clip(sentence, maxReason) + " …"
	}
	return sentence
}

// Decision returns what the Verifier decided; ok is false until it has.
func (v *Verifier) Decision() (d Decision, ok bool) {
	if v.phase != phaseDecided {
		return Decision{}, false
	}
	d = Decision{Recommendation: v.report.Recommendation, Assessment: v.assessment(), Reason: v.report.Reason}
	if d.Recommendation == Allow {
		return d, true
	}
	d.Remediation = v.cfg.Policy.Remediation
	if d.Language = v.cfg.Policy.Language; d.Language == "" {
		d.Language = "en"
	}
	return d, true
}
