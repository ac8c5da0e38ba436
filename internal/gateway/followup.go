package gateway

import (
	"bytes"
	"errors"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Additional key exchanges of CREATE_CHILD_SA (RFC 9370 section 2.2.4): an
// IKE_FOLLOWUP_KE exchange each. Keys are computed after the last one.

const (
	// followUpLife is how long a client may take to go on with them.
	followUpLife = 2 * time.Minute
	linkSize     = 8
)

// followUp is a CREATE_CHILD_SA of the client that waits for them.
type followUp struct {
	left    []message.KEMethod // the next one first
	link    []byte
	secrets [][]byte
	low     []byte    // the lower nonce of the exchange
	child   *childSA  // that is rekeyed; nil = a new one, or the IKE_SA
	ike     bool      // the IKE_SA is rekeyed
	until   time.Time // then it is given up
	finish  func(now time.Time, secrets [][]byte) error
}

// await keeps the rest of the client's CREATE_CHILD_SA, and returns the notify that
// goes with the answer. An earlier one is given up: the client has.
func (s *ikeSA) await(now time.Time, f *followUp) (*message.Notify, error) {
	nonce, err := s.client.g.nonce()
	if err != nil {
		return nil, err
	}
	f.link, f.until = nonce[:linkSize], now.Add(followUpLife)
	s.follow = f
	return &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: f.link}, nil
}

// handleFollowUp answers IKE_FOLLOWUP_KE.
func (s *ikeSA) handleFollowUp(now time.Time, m *message.Message) {
	refuse := func(t message.NotifyType) { s.respond(m.Header, &message.Notify{NotifyType: t}) }
	f := s.follow
	link := m.Notify(message.AdditionalKeyExchange)
	ke, ok := message.First[*message.KE](m.Payloads)
	switch {
	case link == nil || !ok:
		refuse(message.InvalidSyntax)
		return
	case f == nil || s.retired || s.client.report.State != Established || !bytes.Equal(link.Data, f.link):
		refuse(message.StateNotFound)
		return
	}
	var public, secret []byte
	err := errors.New("another method")
	if ke.Method == f.left[0] {
		public, secret, err = crypto.RespondKE(ke.Method, s.client.g.cfg.Rand, ke.Data)
	}
	if err != nil {
		log.Infof(s.client.g.log, "IKE_FOLLOWUP_KE: %v", err)
		s.follow = nil
		refuse(message.InvalidSyntax)
		return
	}
	f.secrets, f.left = append(f.secrets, secret), f.left[1:]
	ps := []message.Payload{&message.KE{Method: ke.Method, Data: public}}
	if len(f.left) > 0 {
		f.until = now.Add(followUpLife)
		s.respond(m.Header, append(ps, &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: f.link})...)
		return
	}
	s.follow = nil
	s.respond(m.Header, ps...)
	if err := f.finish(now, f.secrets); err != nil {
		log.Infof(s.client.g.log, "IKE_FOLLOWUP_KE: %v", err)
	}
	s.client.ikeSA.flush(now)
}

// expire gives up what the client does not go on with.
func (s *ikeSA) expire(now time.Time) {
	if s.follow != nil && due(s.follow.until, now) {
		s.follow = nil
		s.flush(now)
	}
}

// ownFollowUp is how far an own CREATE_CHILD_SA has come.
type ownFollowUp struct {
	create  createKind
	child   *childSA // that is rekeyed; nil = a new one, or the IKE_SA
	offer   []message.Proposal
	ni      []byte
	left    []message.KEMethod
	secrets [][]byte
	// lost is called where the client goes on with a rekeying of the same SA instead.
	lost func(now time.Time)
	// done gets the answer to CREATE_CHILD_SA, or the one that ended it.
	done func(now time.Time, m *message.Message, secrets [][]byte)
}

// errMissingKE ends an own CREATE_CHILD_SA.
var errMissingKE = errors.New("additional key exchanges are missing")

// begin takes the answer to our CREATE_CHILD_SA.
func (o *ownFollowUp) begin(now time.Time, s *ikeSA, m *message.Message) {
	sa, ok1 := message.First[*message.SA](m.Payloads)
	nonce, ok2 := message.First[*message.Nonce](m.Payloads)
	link := m.Notify(message.AdditionalKeyExchange)
	if m.ErrorNotify() != nil || !ok1 || !ok2 || link == nil {
		o.done(now, m, nil)
		return
	}
	suite, _, err := crypto.CheckChosen(o.offer, sa)
	if o.left = suite.AdditionalKEs(); err != nil || len(o.left) == 0 {
		o.done(now, m, nil)
		return
	}
	if f := s.follow; f != nil && (f.ike && o.create == changesIKE || o.child != nil && f.child == o.child) {
		// The lowest of the four nonces loses (RFC 9370 section 2.2.4.1).
		if bytes.Compare(lower(o.ni, nonce.Data), f.low) < 0 {
			o.lost(now)
			return
		}
		s.follow = nil
	}
	o.next(now, s, m, link.Data)
}

// next sends the next IKE_FOLLOWUP_KE; m is the answer to CREATE_CHILD_SA.
func (o *ownFollowUp) next(now time.Time, s *ikeSA, m *message.Message, link []byte) {
	ke, err := crypto.NewKeyExchange(o.left[0], s.client.g.cfg.Rand)
	if err != nil {
		log.Infof(s.client.g.log, "IKE_FOLLOWUP_KE: %v", err)
		return
	}
	// It goes before what waits.
	s.queue = append([]*ownRequest{{
		exchange: message.IKEFollowupKE, create: o.create,
		payloads: []message.Payload{&message.Notify{NotifyType: message.AdditionalKeyExchange, Data: link}, &message.KE{Method: ke.Method(), Data: ke.Public()}},
		answered: func(now time.Time, a *message.Message) {
			theirs, ok := message.First[*message.KE](a.Payloads)
			link := a.Notify(message.AdditionalKeyExchange)
			if a.ErrorNotify() != nil || !ok || theirs.Method != ke.Method() || len(o.left) > 1 && link == nil {
				o.done(now, a, nil)
				return
			}
			secret, err := ke.Shared(theirs.Data)
			if err != nil {
				o.done(now, a, nil)
				return
			}
			o.secrets, o.left = append(o.secrets, secret), o.left[1:]
			if len(o.left) == 0 {
				o.done(now, m, o.secrets)
				return
			}
			o.next(now, s, m, link.Data)
		},
	}}, s.queue...)
	s.flush(now)
}

// followsUp reports whether an IKE_FOLLOWUP_KE of the gateway is out.
func (s *ikeSA) followsUp() bool { return s.own != nil && s.own.exchange == message.IKEFollowupKE }
