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

func (s *serverIMV) Receive(m pb.PA) { s.Verifier.Receive(imv.Message(m)) }

func (s *serverIMV) BatchEnding() (out []pb.PA) {
	for _, m := range s.Verifier.BatchEnding() {
		if s.rewrite != nil {
			m.Body = s.rewrite(s.sent, m.Body)
		}
		s.sent++
		out = append(out, pb.PA(m))
	}
	return out
}

func (s *serverIMV) Result() (server.Result, bool) {
	d, ok := s.Decision()
	return server.NewResult(pb.Assessment(d.Assessment), pb.Access(d.Recommendation.Access()), d.Reason, d.Language, d.Remediation), ok
}
