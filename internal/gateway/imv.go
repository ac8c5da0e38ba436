package gateway

import (
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
)

// NewIMV returns v as the IMV of a TNC server. Rewrite replaces the nth PA-TNC
// message sent, from 0; nil leaves all.
func NewIMV(v *imv.Verifier, rewrite func(n int, message []byte) []byte) server.IMV {
	return &serverIMV{Verifier: v, rewrite: rewrite}
}

type serverIMV struct {
	*imv.Verifier
	rewrite func(n int, message []byte) []byte
	sent    int
}

func (s *serverIMV) Receive(m pb.PA) {
	s.Verifier.Receive(imv.Message{Vendor: m.Vendor, Subtype: m.Subtype, IMC: m.Collector, IMV: m.Validator, Exclusive: m.Exclusive, Body: m.Body})
}

func (s *serverIMV) BatchEnding() (out []pb.PA) {
	for _, m := range s.Verifier.BatchEnding() {
		if s.rewrite != nil {
			m.Body = s.rewrite(s.sent, m.Body)
		}
		s.sent++
		out = append(out, pb.PA{Vendor: m.Vendor, Subtype: m.Subtype, Collector: m.IMC, Validator: m.IMV, Exclusive: m.Exclusive, Body: m.Body})
	}
	return out
}

func (s *serverIMV) Result() (r server.Result, ok bool) {
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
