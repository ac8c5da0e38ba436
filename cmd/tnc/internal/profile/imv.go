package profile

import (
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
)

// serverIMV is a Verifier as the IMV of the TNC server that measures the gateway.
type serverIMV struct{ *imv.Verifier }

func (s serverIMV) Receive(m pb.PA) { s.Verifier.Receive(imv.Message(m)) }

func (s serverIMV) BatchEnding() (out []pb.PA) {
	for _, m := range s.Verifier.BatchEnding() {
		out = append(out, pb.PA(m))
	}
	return out
}

func (s serverIMV) Result() (server.Result, bool) {
	d, ok := s.Decision()
	return server.NewResult(pb.Assessment(d.Assessment), pb.Access(d.Recommendation.Access()), d.Reason, d.Language, d.Remediation), ok
}
