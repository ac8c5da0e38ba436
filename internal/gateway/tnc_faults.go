package gateway

import "github.com/gotnc/gotnc/tnccs/server"

// undecided is an IMV that never recommends anything (Faults.NoRecommendation).
type undecided struct{ server.IMV }

// Result holds the recommendation back.
func (undecided) Result() (server.Result, bool) { return server.Result{}, false }

// rewriter is a TNC server that breaks the batches that it sends
// (Faults.BadBatch and ReplaceBatch).
type rewriter struct {
	*server.Session
	f    *Faults
	sent int // batches
}

// Receive returns the answer of the session, rewritten.
func (r *rewriter) Receive(batch []byte) ([]byte, error) {
	out, err := r.Session.Receive(batch)
	if len(out) == 0 {
		return out, err
	}
	n := r.sent
	r.sent++
	if r.f.BadBatch && n == 0 {
		out[0] = 9
	}
	if r.f.ReplaceBatch != nil {
		out = r.f.ReplaceBatch(n, out)
	}
	return out, err
}
