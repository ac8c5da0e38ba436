package profile

import (
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
)

// serverIMV is a Verifier as the IMV of the TNC server that measures the gateway.
type serverIMV struct{ *imv.Verifier }

func (s serverIMV) Receive(m pb.PA) {
	s.Verifier.Receive(imv.Message{Vendor: m.Vendor, Subtype: m.Subtype, IMC: m.Collector, IMV: m.Validator, Exclusive: m.Exclusive, Body: m.Body})
}

func (s serverIMV) BatchEnding() (out []pb.PA) {
	for _, m := range s.Verifier.BatchEnding() {
		out = append(out, pb.PA{Vendor: m.Vendor, Subtype: m.Subtype, Collector: m.IMC, Validator: m.IMV, Exclusive: m.Exclusive, Body: m.Body})
	}
	return out
}

func (s serverIMV) Result() (r server.Result, ok bool) {
	d, ok := s.Decision()
	if !ok {
		return r, false
	}
	// PB-TNC and PA-TNC number their assessment results alike (RFC 5793 section
	// 4.6, RFC 5792 section 4.2.9).
	r = server.Result{Assessment: pb.Assessment(d.Assessment), Access: pb.AccessDenied, URI: d.Remediation}
	switch d.Recommendation {
	case imv.Allow:
		r.Access = pb.AccessAllowed
	case imv.Isolate:
		r.Access = pb.Quarantined
	}
	if d.Reason != "" {
		r.Reasons = []pb.ReasonString{{Text: d.Reason, Language: d.Language}}
	}
	return r, true
}
