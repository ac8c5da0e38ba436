package gateway

import (
	"errors"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// ikeSA is one IKE_SA of a client: keys, message IDs and the request that is out.
// Rekeying replaces it; the old one answers until it is deleted.
type ikeSA struct {
	client    *client
	initiator bool // the gateway made it, by rekeying

	spii, spir  message.SPI
	suite       crypto.Suite
	prf         crypto.PRF
	keys        *crypto.IKEKeys
	protector   *crypto.Protector
	reassembler crypto.Reassembler
	answers     crypto.Reassembler // of the client's responses

	nextID       uint32   // of the next request of the client
	lastResponse [][]byte // to request nextID-1

	ownID uint32 // of the next own request
	own   *ownRequest
	queue []*ownRequest // that wait for it (window 1)

	retired bool      // another one has replaced it
	made    *peerMade // what the client's rekeying made while ours is out
	follow  *followUp // the client's CREATE_CHILD_SA that is not complete; nil = none
	dropAt  time.Time // when a retired one is forgotten
}

// ownRequest is a request of the gateway.
type ownRequest struct {
	exchange message.ExchangeType
	payloads []message.Payload
	// answered is called with the response; nil = nothing follows.
	answered func(now time.Time, m *message.Message)
	// stale, where set, says before it is sent that it has become void.
	stale  func() bool
	create createKind // what CREATE_CHILD_SA is for, or a DELETE of a CHILD_SA

	messages [][]byte
	id       uint32
	due      time.Time
	tries    int
}

// createKind is what an own request changes.
type createKind uint8

const (
	changesNothing createKind = iota
	changesChild
	changesIKE
	endsIKE
)

// spi returns the SPI that the gateway chose.
func (s *ikeSA) spi() message.SPI {
	if s.initiator {
		return s.spii
	}
	return s.spir
}

// owns reports whether a message of the client belongs to the IKE_SA.
func (s *ikeSA) owns(h message.Header) bool {
	return s.spii == h.SPIi && s.spir == h.SPIr && h.FromInitiator() != s.initiator
}

func (s *ikeSA) flag() message.Flags {
	if s.initiator {
		return message.FlagInitiator
	}
	return 0
}

// handle takes a protected message of the client.
func (s *ikeSA) handle(now time.Time, from netip.AddrPort, h message.Header, b []byte) {
	c := s.client
	if h.IsResponse() {
		s.handleResponse(now, h, b)
		return
	}
	if h.MessageID+1 == s.nextID && s.lastResponse != nil {
		// The first fragment counts for the whole request (RFC 7383 section 2.6.1).
		if m, err := message.Parse(b); err == nil && firstOf(m) {
			c.report.Retransmits++
			log.Infof(c.g.log, "received retransmit of request with ID %d, retransmitting response", h.MessageID)
			c.g.send(from, s.lastResponse...)
		}
		return
	}
	if h.MessageID != s.nextID {
		log.Infof(c.g.log, "received message ID %d, expected %d, ignored", h.MessageID, s.nextID)
		return
	}
	m, err := s.reassembler.Handle(s.protector, b)
	var content *crypto.ContentError
	if errors.As(err, &content) {
		log.Infof(c.g.log, "request %d cannot be decoded: %v", h.MessageID, err)
		c.addr = from
		s.nextID++
		n := &message.Notify{NotifyType: message.InvalidSyntax}
		var critical *message.UnsupportedCriticalError
		if errors.As(err, &critical) {
			n = critical.Notify()
		}
		s.respond(h, n)
		return
	}
	if err != nil {
		log.Infof(c.g.log, "request %d dropped: %v", h.MessageID, err)
		return
	}
	if m == nil {
		return // fragments are missing
	}
	log.Infof(c.g.enc, "parsed %s", m.Summary())
	c.addr, c.report.Addr = from, from
	s.nextID++
	c.report.Requests++
	c.g.requests++
	if n := c.g.cfg.Faults.SilentAfter; n > 0 && c.g.requests > n {
		s.nextID--
		return
	}
	c.dispatch(now, s, m)
}

// firstOf reports whether m is a whole message or its first fragment.
func firstOf(m *message.Message) bool {
	f, ok := message.First[*message.SKF](m.Payloads)
	return !ok || f.Number == 1
}

// seal protects a message that is sent.
func (s *ikeSA) seal(h message.Header, ps []message.Payload) ([][]byte, error) {
	c := s.client
	log.Infof(c.g.enc, "generating %s", summary{h, ps})
	if !c.fragmentation {
		b, err := s.protector.Seal(h, ps)
		return [][]byte{b}, err
	}
	return s.protector.SealFragments(h, ps, c.g.cfg.FragmentSize, c.addr.Addr().Is6())
}

// summary is a message as the log shows it; it is only made where that is on.
type summary struct {
	message.Header
	payloads []message.Payload
}

func (s summary) String() string {
	return (&message.Message{Header: s.Header, Payloads: s.payloads}).Summary()
}

func (s *ikeSA) respond(request message.Header, ps ...message.Payload) {
	c := s.client
	h := message.Header{
		SPIi: s.spii, SPIr: s.spir, Exchange: request.Exchange, Flags: message.FlagResponse | s.flag(), MessageID: request.MessageID,
	}
	out, err := s.seal(h, ps)
	if err != nil {
		log.Infof(c.g.log, "protect %s: %v", h, err)
		return
	}
	if f := c.g.cfg.Faults.Rewrite; f != nil {
		out = f(Answer{N: c.answered, Messages: out, Seal: func(ps ...message.Payload) [][]byte {
			sealed, err := s.seal(h, ps)
			if err != nil {
				log.Infof(c.g.log, "protect %s: %v", h, err)
			}
			return sealed
		}})
		c.answered++
	}
	s.lastResponse = out
	c.g.send(c.addr, out...)
}

// request sends a request of the gateway, once those before it are answered.
func (s *ikeSA) request(now time.Time, r *ownRequest) {
	s.queue = append(s.queue, r)
	s.flush(now)
}

// flush sends the next request that waits, where none is out.
func (s *ikeSA) flush(now time.Time) {
	for s.own == nil && s.made == nil && len(s.queue) > 0 && !s.client.freed {
		r := s.queue[0]
		if s.follow != nil && r.exchange != message.IKEFollowupKE {
			return // the client is about to change the IKE_SA or a CHILD_SA
		}
		s.queue = s.queue[1:]
		if r.stale != nil && r.stale() {
			continue
		}
		r.id = s.ownID
		h := message.Header{SPIi: s.spii, SPIr: s.spir, Exchange: r.exchange, Flags: s.flag(), MessageID: r.id}
		out, err := s.seal(h, r.payloads)
		if err != nil {
			log.Infof(s.client.g.log, "protect %s: %v", h, err)
			continue
		}
		s.ownID++
		r.messages, r.due = out, now.Add(ownRetransmit)
		s.own = r
		s.client.g.send(s.client.addr, out...)
	}
}

// handleResponse takes the answer to an own request.
func (s *ikeSA) handleResponse(now time.Time, h message.Header, b []byte) {
	r := s.own
	if r == nil || h.MessageID != r.id || h.Exchange != r.exchange {
		return
	}
	m, err := s.answers.Handle(s.protector, b)
	if err != nil || m == nil {
		return
	}
	log.Infof(s.client.g.enc, "parsed %s", m.Summary())
	s.own, s.answers = nil, crypto.Reassembler{MaxOctets: maxPacket}
	if r.answered != nil {
		r.answered(now, m)
	}
	s.flush(now)
}

// retransmit repeats the request that is out; false where the client does not
// answer any more.
func (s *ikeSA) retransmit(now time.Time) bool {
	if s.own == nil || now.Before(s.own.due) {
		return true
	}
	if s.own.tries++; s.own.tries > s.client.g.cfg.Tries {
		log.Infof(s.client.g.log, "giving up after %d retransmits", s.client.g.cfg.Tries)
		return false
	}
	s.own.due = now.Add(ownRetransmit)
	s.client.g.send(s.client.addr, s.own.messages...)
	return true
}

// zero forgets the keys.
func (s *ikeSA) zero() {
	s.protector.Zero()
	s.keys.Zero()
	s.lastResponse, s.own, s.queue, s.made, s.follow = nil, nil, nil, nil, nil
}
