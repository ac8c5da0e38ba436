package ike

import (
	"bytes"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): the additional key exchanges of a
// CREATE_CHILD_SA exchange, one each exchange, whose state a link of the
// responder's names. Keys are computed after the last one.

// followUpLife is how long a peer may take to go on with its additional key
// exchanges.
const followUpLife = 2 * time.Minute

// maxLink is the most octets of a link that is sent back.
const maxLink = 256

// followUps runs the additional key exchanges of both sides.
type followUps struct {
	*core
	life *lifetimes
	peer *peerFollowUp // of the peer's last CREATE_CHILD_SA; nil = none
}

// followUp is how far our own CREATE_CHILD_SA has come.
type followUp struct {
	left     []message.KEMethod // to be run; the first one is under way
	link     []byte
	secrets  [][]byte
	response *message.Message // to CREATE_CHILD_SA
	ke       crypto.KeyExchange
}

func (f *followUp) zero() {
	for _, s := range f.secrets {
		clear(s)
	}
	if f.ke != nil {
		f.ke.Zero()
	}
	*f = followUp{}
}

// nonces returns the nonces of both sides, nil where there is no response yet.
func (j *createJob) nonces() (ni, nr []byte) {
	if j.more.response == nil {
		return nil, nil
	}
	n, _ := message.First[*message.Nonce](j.more.response.Payloads)
	return j.nonce, n.Data
}

// complete reports whether all additional key exchanges of s were made.
func (j *createJob) complete(s crypto.Suite) error {
	if want := len(s.AdditionalKEs()); len(j.more.secrets) != want {
		return fmt.Errorf("%d of %d additional key exchanges were made", len(j.more.secrets), want)
	}
	return nil
}

// collect takes a response to CREATE_CHILD_SA or IKE_FOLLOWUP_KE. While
// additional key exchanges are left it sends the next one and returns nil; else
// it returns what the job is to be finished with: the response to
// CREATE_CHILD_SA, or one that ends it with an error.
func (f *followUps) collect(sa *ikeSA, x *exchange, msg *message.Message) *message.Message {
	j := x.job
	own := &j.more
	link := msg.Notify(message.AdditionalKeyExchange)
	if x.exchange == message.CreateChildSA {
		chosen, ok1 := message.First[*message.SA](msg.Payloads)
		_, ok2 := message.First[*message.Nonce](msg.Payloads)
		if msg.ErrorNotify() != nil || !ok1 || !ok2 {
			return msg
		}
		suite, _, err := crypto.CheckChosen(j.proposals, chosen)
		if err != nil || len(suite.AdditionalKEs()) == 0 || link == nil {
			return msg // whoever finishes the job finds what is wrong
		}
		own.response, own.left = msg, suite.AdditionalKEs()
		if f.loses(j) {
			return nil
		}
	} else {
		ke, ok := message.First[*message.KE](msg.Payloads)
		if msg.ErrorNotify() != nil || !ok || ke.Method != own.ke.Method() {
			return msg
		}
		secret, err := own.ke.Shared(ke.Data)
		own.ke.Zero()
		own.ke = nil
		if err != nil {
			log.Infof(f.ike, "key exchange: %v", err)
			return msg
		}
		own.secrets, own.left = append(own.secrets, secret), own.left[1:]
		if len(own.left) == 0 {
			return own.response
		}
	}
	if link == nil || len(link.Data) > maxLink {
		return msg
	}
	own.link = clone(link.Data)
	var err error
	if own.ke, err = crypto.NewKeyExchange(own.left[0], f.rand); err != nil {
		f.fail(fmt.Errorf("make key exchange value: %w", err))
		return nil
	}
	sa.request(request{exchange: message.IKEFollowupKE, what: x.what, job: j, payloads: []message.Payload{
		&message.Notify{NotifyType: message.AdditionalKeyExchange, Data: own.link},
		&message.KE{Method: own.ke.Method(), Data: own.ke.Public()},
	}})
	return nil
}

// peerFollowUp is a CREATE_CHILD_SA of the peer that waits for additional key
// exchanges.
type peerFollowUp struct {
	left    []message.KEMethod
	link    []byte
	secrets [][]byte
	until   time.Time
	ni, nr  []byte
	child   *childState // that is rekeyed; nil = a new one, or the IKE_SA
	ike     bool        // the IKE_SA is rekeyed
	finish  func(secrets [][]byte)
}

func (f *peerFollowUp) zero() {
	for _, s := range f.secrets {
		clear(s)
	}
}

// await keeps the rest of the peer's CREATE_CHILD_SA, and returns the notify
// that goes with the response. An earlier one is given up: the peer has.
func (f *followUps) await(p *peerFollowUp) (*message.Notify, error) {
	link, err := f.random(8)
	if err != nil {
		return nil, err
	}
	f.drop()
	p.link, p.until = link, f.now.Add(followUpLife)
	f.peer = p
	return &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: link}, nil
}

// drop gives up the peer's CREATE_CHILD_SA that waits.
func (f *followUps) drop() {
	if f.peer != nil {
		f.peer.zero()
		f.peer = nil
	}
}

// expire gives up what the peer does not go on with.
func (f *followUps) expire() {
	if f.peer != nil && due(f.peer.until, f.now) {
		f.ike.Info("the peer did not go on with its additional key exchanges")
		f.drop()
	}
}

// answer answers the peer's IKE_FOLLOWUP_KE.
func (f *followUps) answer(sa *ikeSA, msg *message.Message) {
	refuse := func(t message.NotifyType) {
		log.Infof(f.ike, "answering IKE_FOLLOWUP_KE request with %s", t)
		sa.respond(msg.Header, &message.Notify{NotifyType: t})
	}
	p := f.peer
	link := msg.Notify(message.AdditionalKeyExchange)
	ke, ok := message.First[*message.KE](msg.Payloads)
	switch {
	case link == nil || !ok:
		refuse(message.InvalidSyntax)
		return
	case p == nil || sa.retired || f.state != stateEstablished || !f.now.Before(p.until) || !bytes.Equal(link.Data, p.link):
		// "If the responder receives … no state … STATE_NOT_FOUND" (RFC 9370 section 2.2.4)
		refuse(message.StateNotFound)
		return
	}
	if ke.Method != p.left[0] {
		f.drop()
		refuse(message.InvalidSyntax)
		return
	}
	public, secret, err := crypto.RespondKE(ke.Method, f.rand, ke.Data)
	if err != nil {
		log.Infof(f.ike, "key exchange: %v", err)
		f.drop()
		refuse(message.InvalidSyntax)
		return
	}
	p.secrets, p.left = append(p.secrets, secret), p.left[1:]
	ps := []message.Payload{&message.KE{Method: ke.Method, Data: public}}
	if len(p.left) > 0 {
		p.until = f.now.Add(followUpLife)
		sa.respond(msg.Header, append(ps, &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: p.link})...)
		return
	}
	f.peer = nil
	defer p.zero()
	sa.respond(msg.Header, ps...)
	if f.state != stateDone {
		p.finish(p.secrets)
	}
}

// loses decides who goes on where both sides rekey the same SA with
// additional key exchanges: the one that made the lowest of the four nonces
// stops before its first IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4.1).
func (f *followUps) loses(j *createJob) bool {
	p := f.peer
	if p == nil || !p.ike && (p.child == nil || p.child != j.child) || p.ike && j.child != nil {
		return false
	}
	ni, nr := j.nonces()
	if bytes.Compare(lowest(ni, nr), lowest(p.ni, p.nr)) >= 0 {
		f.ike.Info("rekey collision won, going on with additional key exchanges")
		f.drop()
		return false
	}
	f.ike.Info("rekey collision lost, waiting for the peer's additional key exchanges")
	if j.child != nil {
		j.child.rekeying = false
		j.child.rekeyAt = f.retryAt()
	} else {
		f.life.rekeyAt = f.retryAt()
	}
	j.zero()
	return true
}
