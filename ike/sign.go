package ike

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// signTimeout bounds the wait for the signature of our AUTH: by then a gateway has
// forgotten the IKE_SA (half_open_timeout of a charon).
const signTimeout = 30 * time.Second

// SignRequest asks for the signature of our AUTH payload: a key that is not in this
// program, as one in a TPM, takes its time. A Tick 30 s later ends the IKE_SA with
// ErrSignature.
type SignRequest struct {
	Credential *Credential
	// Plans are what is to be signed: one AUTH, and where a PPK is used that the
	// gateway may do without, the one without it too.
	Plans []*signature.Plan

	rand io.Reader
	w    *waiting
}

// Do has the key sign.
func (r *SignRequest) Do(context.Context) Result {
	var all [][]byte
	for _, p := range r.Plans {
		sig, err := p.Sign(r.rand, r.Credential.Key)
		if err != nil {
			return r.Answer(nil, err)
		}
		all = append(all, sig)
	}
	return r.Answer(all, nil)
}

// Answer makes a Result of one signature a Plan, as crypto.Signer makes them.
func (r *SignRequest) Answer(signatures [][]byte, err error) Result {
	return Result{of: r.w, signed: signatures, err: err}
}

// signing is a round of ours that a private key proves.
type signing struct {
	*authentication
	sa    *ikeSA
	round *LocalRound
	own   *Credential
}

// start asks for the signature. ocsp are OCSP responses to send with the
// certificate.
func (s signing) start(ocsp [][]byte) error {
	o := s.round.Signature
	o.PeerHashes, o.SHA1, o.Able = s.peer.hashes, s.cfg.Authentication.SHA1, s.own.Schemes
	r := &SignRequest{Credential: s.own, rand: s.rand}
	err := s.cover(s.sa, func(octets, _ []byte) error {
		p, err := signature.NewPlan(s.own.Key.Public(), octets, o)
		r.Plans = append(r.Plans, p)
		return err
	})
	if err != nil {
		return err
	}
	r.w = s.await(stateSign, signTimeout, func(answer Result) {
		if err := s.finish(r, answer, ocsp); err != nil {
			s.refuse(s.sa, err)
		}
	})
	s.out.Work = append(s.out.Work, r)
	return nil
}

// finish sends the request of the round with its signature.
func (s signing) finish(r *SignRequest, answer Result, ocsp [][]byte) error {
	switch {
	case answer.err != nil:
		return fmt.Errorf("%w: %w", ErrSignature, answer.err)
	case len(answer.signed) != len(r.Plans):
		return fmt.Errorf("%w: the key did not sign within %v", ErrSignature, signTimeout)
	}
	var auths []*message.Auth
	for i, p := range r.Plans {
		auth, err := p.Auth(answer.signed[i])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSignature, err)
		}
		auths = append(auths, auth)
	}
	log.Infof(s.ike, "authentication of '%s' (myself) with %s successful", s.round.ID, r.Plans[0].Scheme)
	return s.sendRound(s.sa, s.round, s.certificates(s.own, ocsp), s.ppk.payloads(auths, s.cfg.Authentication.PPK))
}
