package ike

import (
	"context"
	gocrypto "crypto"
	"fmt"
	"time"
)

// statusTimeout bounds the wait for OCSP responses about our certificate: the
// gateway waits for IKE_AUTH meanwhile, and does without them in the end.
const statusTimeout = 10 * time.Second

// Work is what a Machine waits for and does not do itself, because it may take
// time: *EAPRequest, *VerifyRequest, *StatusRequest or *SignRequest. Whoever carries out the
// Outputs calls Do, in a goroutine of its own where it must not wait, and hands
// the Result to Machine.Resume. At most one Work of a Machine is waited for; the
// next one of an EAP method comes after the Result of the last.
type Work interface {
	// Do carries the work out, and may block. A StatusRequest ends with ctx, a
	// VerifyRequest where its Verifier heeds it; an EAPRequest and a SignRequest end with
	// what their method and key heed.
	Do(ctx context.Context) Result
}

// Result is the answer of a Work, made by its Do or its Answer.
type Result struct {
	of        *waiting
	response  []byte
	status    EAPStatus
	keys      []gocrypto.PublicKey
	responses [][]byte
	signed    [][]byte
	err       error
}

// waiting is a Work that was given out.
type waiting struct {
	until time.Time // go on without an answer then; zero = wait
	done  func(Result)
}

// EAPRequest is an EAP packet for the method of the current round.
type EAPRequest struct {
	Method EAP
	Packet []byte

	w *waiting
}

// Do has the method answer.
func (r *EAPRequest) Do(context.Context) Result { return r.Answer(r.Method.Handle(r.Packet)) }

// Answer makes a Result of what EAP.Handle returned.
func (r *EAPRequest) Answer(response []byte, status EAPStatus, err error) Result {
	return Result{of: r.w, response: response, status: status, err: err}
}

// VerifyRequest asks for the keys that the gateway may have signed with.
type VerifyRequest struct {
	Verifier Verifier
	Peer     PeerCertificates

	lookup *certLookup // of certificates that Peer lacks; nil = none
	w      *waiting
}

// Do fetches the certificates that the gateway names by URL, and has the Verifier
// decide.
func (r *VerifyRequest) Do(ctx context.Context) Result {
	if r.lookup != nil {
		r.lookup.complete(ctx, &r.Peer)
	}
	keys, err := r.Verifier.Verify(ctx, r.Peer)
	if err != nil && r.lookup != nil && r.lookup.err != nil {
		err = fmt.Errorf("its certificate cannot be fetched: %w", r.lookup.err)
	}
	return r.Answer(keys, err)
}

// Answer makes a Result of what Verifier.Verify returned.
func (r *VerifyRequest) Answer(keys []gocrypto.PublicKey, err error) Result {
	return Result{of: r.w, keys: keys, err: err}
}

// StatusRequest asks for OCSP responses about our certificate. A Tick 10 s later
// goes on without them; who waits for Do inline bounds it with its context.
type StatusRequest struct {
	Credential *Credential

	w *waiting
}

// Do fetches the responses.
func (r *StatusRequest) Do(ctx context.Context) Result {
	return r.Answer(r.Credential.OCSP(ctx))
}

// Answer makes a Result of OCSP responses in DER; none is an answer too.
func (r *StatusRequest) Answer(responses [][]byte) Result {
	return Result{of: r.w, responses: responses}
}

// await returns what identifies a Work; done is called with its Result, unless
// the Machine has ended.
func (a *authentication) await(s state, limit time.Duration, done func(Result)) *waiting {
	from := a.state
	w := &waiting{done: func(r Result) {
		a.state = from
		done(r)
	}}
	if limit > 0 {
		w.until = a.now.Add(limit)
	}
	a.state, a.waiting = s, w
	return w
}

// resume goes on with the Result of the Work that is waited for. Another one is
// ignored: it is late, or was answered already.
func (a *authentication) resume(r Result) {
	w := a.waiting
	if w == nil || r.of != w || a.state == stateDone {
		return
	}
	a.waiting = nil
	w.done(r)
}

// expire goes on without the Work whose time is over.
func (a *authentication) expire() {
	if w := a.waiting; w != nil && due(w.until, a.now) {
		a.resume(Result{of: w})
	}
}
