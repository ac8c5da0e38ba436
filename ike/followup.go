package ike

import (
	"bytes"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// IKE_FOLLOWUP_KE (RFC 9370 §2.2.4): the additional key exchanges of a
// CREATE_CHILD_SA exchange, one each exchange, whose state a link of the
// responder's names. Keys are computed after the last one.

// followUpLife is how long a peer may take to go on with its additional key
// exchanges.
const followUpLife = 2 * time.Minute

// maxLink is the most octets of a link that is sent back.
const maxLink = 256

// followUp is where our own CREATE_CHILD_SA stands.
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
func (j *rekeyJob) nonces() (ni, nr []byte) {
	if j.more.response == nil {
		return nil, nil
	}
	n, _ := message.First[*message.Nonce](j.more.response.Payloads)
	return j.nonce, n.Data
}

// complete reports whether all additional key exchanges of s were made.
func (j *rekeyJob) complete(s crypto.Suite) error {
	if want := len(s.AdditionalKEs()); len(j.more.secrets) != want {
		return fmt.Errorf("%d of %d additional key exchanges were made", len(j.more.secrets), want)
	}
	return nil
}

// collect takes a response to CREATE_CHILD_SA or IKE_FOLLOWUP_KE. While
// additional key exchanges are left it sends the next one and returns nil; else
// it returns what the job is to be finished with: the response to
// CREATE_CHILD_SA, or one that ends it with an error.
func (m *Machine) collect(x *exchange, msg *message.Message) *message.Message {
	j := x.job
	f := &j.more
	link := msg.Notify(message.AdditionalKeyExchange)
	if x.exchange == message.CreateChildSA {
		sa, ok1 := message.First[*message.SA](msg.Payloads)
		_, ok2 := message.First[*message.Nonce](msg.Payloads)
		if msg.ErrorNotify() != nil || !ok1 || !ok2 {
			return msg
		}
		suite, _, err := crypto.CheckChosen(j.proposals, sa)
		if err != nil || len(suite.AdditionalKEs()) == 0 || link == nil {
			return msg // whoever finishes the job finds what is wrong
		}
		f.response, f.left = msg, suite.AdditionalKEs()
		if m.losesFollowUp(j) {
			return nil
		}
	} else {
		ke, ok := message.First[*message.KE](msg.Payloads)
		if msg.ErrorNotify() != nil || !ok || ke.Method != f.ke.Method() {
			return msg
		}
		secret, err := f.ke.Shared(ke.Data)
		f.ke.Zero()
		f.ke = nil
		if err != nil {
			log.Infof(m.ike, "key exchange: %v", err)
			return msg
		}
		f.secrets, f.left = append(f.secrets, secret), f.left[1:]
		if len(f.left) == 0 {
			return f.response
		}
	}
	if link == nil || len(link.Data) > maxLink {
		return msg
	}
	f.link = clone(link.Data)
	var err error
	if f.ke, err = crypto.NewKeyExchange(f.left[0], m.rand); err != nil {
		m.fail(fmt.Errorf("make key exchange value: %w", err))
		return nil
	}
	m.request(request{exchange: message.IKEFollowupKE, what: x.what, job: j, payloads: []message.Payload{
		&message.Notify{NotifyType: message.AdditionalKeyExchange, Data: f.link},
		&message.KE{Method: f.ke.Method(), Data: f.ke.Public()},
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
func (m *Machine) await(f *peerFollowUp) (*message.Notify, error) {
	link, err := m.random(8)
	if err != nil {
		return nil, err
	}
	m.dropFollowUp()
	f.link, f.until = link, m.now.Add(followUpLife)
	m.follow = f
	return &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: link}, nil
}

func (m *Machine) dropFollowUp() {
	if m.follow != nil {
		m.follow.zero()
		m.follow = nil
	}
}

// peerFollows answers the peer's IKE_FOLLOWUP_KE.
func (m *Machine) peerFollows(msg *message.Message) {
	refuse := func(t message.NotifyType) {
		log.Infof(m.ike, "answering IKE_FOLLOWUP_KE request with %s", t)
		m.respond(msg.Header, &message.Notify{NotifyType: t})
	}
	f := m.follow
	link := msg.Notify(message.AdditionalKeyExchange)
	ke, ok := message.First[*message.KE](msg.Payloads)
	switch {
	case link == nil || !ok:
		refuse(message.InvalidSyntax)
		return
	case f == nil || m.aside || m.state != stateEstablished || !m.now.Before(f.until) || !bytes.Equal(link.Data, f.link):
		// "If the responder receives … no state … STATE_NOT_FOUND" (RFC 9370 §2.2.4)
		refuse(message.StateNotFound)
		return
	}
	if ke.Method != f.left[0] {
		m.dropFollowUp()
		refuse(message.InvalidSyntax)
		return
	}
	public, secret, err := crypto.RespondKE(ke.Method, m.rand, ke.Data)
	if err != nil {
		log.Infof(m.ike, "key exchange: %v", err)
		m.dropFollowUp()
		refuse(message.InvalidSyntax)
		return
	}
	f.secrets, f.left = append(f.secrets, secret), f.left[1:]
	ps := []message.Payload{&message.KE{Method: ke.Method, Data: public}}
	if len(f.left) > 0 {
		f.until = m.now.Add(followUpLife)
		m.respond(msg.Header, append(ps, &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: f.link})...)
		return
	}
	m.follow = nil
	defer f.zero()
	m.respond(msg.Header, ps...)
	if m.state != stateDone {
		f.finish(f.secrets)
	}
}

// losesFollowUp settles who goes on where both sides rekey the same SA with
// additional key exchanges: the one that made the lowest of the four nonces
// stops before its first IKE_FOLLOWUP_KE (RFC 9370 §2.2.4.1).
func (m *Machine) losesFollowUp(j *rekeyJob) bool {
	f := m.follow
	if f == nil || !f.ike && (f.child == nil || f.child != j.child) || f.ike && j.child != nil {
		return false
	}
	ni, nr := j.nonces()
	if bytes.Compare(lowest(ni, nr), lowest(f.ni, f.nr)) >= 0 {
		m.ike.Info("rekey collision won, going on with additional key exchanges")
		m.dropFollowUp()
		return false
	}
	m.ike.Info("rekey collision lost, waiting for the peer's additional key exchanges")
	if j.child != nil {
		j.child.rekeying = false
		j.child.rekeyAt = m.retryAt()
	} else {
		m.life.rekeyAt = m.retryAt()
	}
	j.zero()
	return true
}
