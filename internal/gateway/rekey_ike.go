package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// lingerOld is how long an IKE_SA that was rekeyed waits for its DELETE.
const lingerOld = 3 * time.Minute

// ikeSPISize is the size of an IKE_SA's SPI in octets.
const ikeSPISize = 8

// peerMade is the IKE_SA that a client's rekeying made while ours is out.
type peerMade struct {
	sa  *ikeSA
	low []byte // the lower nonce of the exchange
}

// RekeyIKE rekeys the IKE_SAs of all clients, as their lifetime would. It returns
// how many there are.
func (g *Gateway) RekeyIKE(now time.Time) int {
	return g.eachClient(func(c *client) { c.rekeyIKE(now) })
}

// answerRekeyIKE makes the IKE_SA that the client asks for (RFC 7296 section 1.3.2).
func (c *client) answerRekeyIKE(now time.Time, s *ikeSA, m *message.Message, sa *message.SA, ni []byte) {
	refuse := func(n *message.Notify) { s.respond(m.Header, n) }
	if s.own != nil && s.own.create == changesChild || s.followsUp() {
		refuse(&message.Notify{NotifyType: message.TemporaryFailure})
		return
	}
	ke, ok := message.First[*message.KE](m.Payloads)
	if !ok {
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	suite, chosen, err := crypto.SelectKE(c.g.ike, sa, ke.Method)
	switch {
	case err != nil || len(chosen.SPI) != ikeSPISize:
		refuse(&message.Notify{NotifyType: message.NoProposalChosen})
		return
	case suite.KE != ke.Method:
		refuse(message.NewInvalidKE(suite.KE))
		return
	}
	made := &ikeSA{client: c, spii: message.SPI(binary.BigEndian.Uint64(chosen.SPI)), suite: suite}
	nr, err := c.g.nonce()
	if err == nil {
		made.spir, err = c.g.newSPI()
	}
	var public, shared []byte
	if err == nil {
		public, shared, err = crypto.RespondKE(ke.Method, c.g.cfg.Rand, ke.Data)
	}
	finish := func(now time.Time, secrets [][]byte) error {
		if err := made.derive(s, shared, ni, nr, secrets); err != nil {
			return err
		}
		c.peerRekeyed(now, s, &peerMade{sa: made, low: lower(ni, nr)})
		return nil
	}
	ps := []message.Payload{&message.SA{Proposals: []message.Proposal{chosen}}, &message.Nonce{Data: nr}, &message.KE{Method: ke.Method, Data: public}}
	left := suite.AdditionalKEs()
	if err == nil && len(left) > 0 {
		var link *message.Notify
		link, err = s.await(now, &followUp{left: left, low: lower(ni, nr), ike: true, finish: finish})
		ps = append(ps, link)
	}
	if err != nil {
		log.Infof(c.g.log, "rekey IKE_SA: %v", err)
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	chosen.SPI = made.spir.Bytes()
	ps[0] = &message.SA{Proposals: []message.Proposal{chosen}}
	s.respond(m.Header, ps...)
	if len(left) == 0 {
		if err := finish(now, nil); err != nil {
			log.Infof(c.g.log, "rekey IKE_SA: %v", err)
		}
	}
}

// peerRekeyed takes the IKE_SA that the client's rekeying of s made.
func (c *client) peerRekeyed(now time.Time, s *ikeSA, made *peerMade) {
	c.g.bySPI[made.sa.spi()] = made.sa
	if s.own != nil && s.own.create == changesIKE {
		made.sa.retired = true
		s.made = made
		return
	}
	c.adopt(now, made.sa)
}

// rekeyIKE asks the client for a new IKE_SA.
func (c *client) rekeyIKE(now time.Time) {
	c.rekeyIKEAt = time.Time{}
	s := c.ikeSA
	if s.made != nil || s.own != nil && s.own.create == changesIKE {
		return
	}
	made := &ikeSA{client: c, initiator: true, suite: s.suite}
	ni, err := c.g.nonce()
	if err == nil {
		made.spii, err = c.g.newSPI()
	}
	var ke crypto.KeyExchange
	if err == nil {
		ke, err = crypto.NewKeyExchange(s.suite.KE, c.g.cfg.Rand)
	}
	if err != nil {
		log.Infof(c.g.log, "rekey IKE_SA: %v", err)
		return
	}
	offer := []message.Proposal{s.suite.Proposal()}
	s.request(now, &ownRequest{
		exchange: message.CreateChildSA, create: changesIKE,
		payloads: []message.Payload{crypto.SAPayload(offer, made.spii.Bytes()), &message.Nonce{Data: ni}, &message.KE{Method: ke.Method(), Data: ke.Public()}},
		stale:    func() bool { return s.retired },
		answered: func(now time.Time, m *message.Message) {
			f := &ownFollowUp{create: changesIKE, offer: offer, ni: ni, lost: func(now time.Time) { c.rekeyIKEAt = c.g.retry(now) }}
			f.done = func(now time.Time, m *message.Message, secrets [][]byte) {
				nr, err := made.complete(s, m, offer, ke, ni, secrets)
				c.ikeRekeyed(now, s, made, lower(ni, nr), err)
			}
			f.begin(now, s, m)
		},
	})
}

// complete fills a new IKE_SA with what the client answered, and returns its nonce.
func (s *ikeSA) complete(old *ikeSA, m *message.Message, offer []message.Proposal, ke crypto.KeyExchange, ni []byte, secrets [][]byte) ([]byte, error) {
	if n := m.ErrorNotify(); n != nil {
		return nil, &notifyError{n.NotifyType, "the client refuses"}
	}
	sa, ok1 := message.First[*message.SA](m.Payloads)
	theirs, ok2 := message.First[*message.KE](m.Payloads)
	nonce, ok3 := message.First[*message.Nonce](m.Payloads)
	if !ok1 || !ok2 || !ok3 {
		return nil, errors.New("answer without SA, KE or nonce")
	}
	suite, chosen, err := crypto.CheckChosen(offer, sa)
	if err != nil {
		return nil, err
	}
	if suite.KE != theirs.Method || theirs.Method != ke.Method() || len(chosen.SPI) != ikeSPISize {
		return nil, errors.New("key exchange or SPI do not fit")
	}
	if len(secrets) != len(suite.AdditionalKEs()) {
		return nil, errMissingKE
	}
	shared, err := ke.Shared(theirs.Data)
	if err != nil {
		return nil, err
	}
	s.spir = message.SPI(binary.BigEndian.Uint64(chosen.SPI))
	return nonce.Data, s.derive(old, shared, ni, nonce.Data, secrets)
}

// ikeRekeyed takes the answer to our rekeying of s, and decides who wins where the
// client rekeyed it too.
func (c *client) ikeRekeyed(now time.Time, s, made *ikeSA, low []byte, err error) {
	theirs := s.made
	s.made = nil
	switch {
	case err != nil && theirs != nil:
		c.adopt(now, theirs.sa)
	case err != nil:
		log.Infof(c.g.log, "rekey IKE_SA: %v", err)
		c.rekeyIKEAt = c.g.retry(now)
	case theirs != nil && bytes.Compare(low, theirs.low) < 0:
		c.g.bySPI[made.spi()] = made
		c.adopt(now, theirs.sa)
		c.retire(now, made)
		c.deleteIKE(now, made)
	default:
		c.g.bySPI[made.spi()] = made
		if theirs != nil {
			c.retire(now, theirs.sa)
		}
		c.adopt(now, made)
		c.deleteIKE(now, s)
	}
}

// deleteIKE sends DELETE for a retired IKE_SA over itself.
func (c *client) deleteIKE(now time.Time, s *ikeSA) {
	s.request(now, &ownRequest{exchange: message.Informational,
		payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}},
		answered: func(time.Time, *message.Message) { c.forget(s) }})
}

// adopt makes s the current IKE_SA: what waited for the window of the old one waits
// for that of s.
func (c *client) adopt(now time.Time, s *ikeSA) {
	before := c.ikeSA
	s.retired = false
	s.queue, before.queue = append(s.queue, before.queue...), nil
	c.old = slices.DeleteFunc(c.old, func(o *ikeSA) bool { return o == s })
	c.retire(now, before)
	c.ikeSA = s
	log.Infof(c.g.log, "IKE_SA rekeyed, SPIs %s_i %s_r", s.spii, s.spir)
	s.flush(now)
}

// retire keeps an IKE_SA until its DELETE.
func (c *client) retire(now time.Time, s *ikeSA) {
	s.retired, s.dropAt = true, now.Add(lingerOld)
	c.old = append(c.old, s)
}

// forget drops a retired IKE_SA.
func (c *client) forget(s *ikeSA) {
	delete(c.g.bySPI, s.spi())
	s.zero()
	c.old = slices.DeleteFunc(c.old, func(o *ikeSA) bool { return o == s })
}

// peerDeletesIKE ends the connection, or one IKE_SA that was rekeyed.
func (c *client) peerDeletesIKE(now time.Time, s *ikeSA) {
	switch {
	case s.retired && s != c.ikeSA:
		if c.made != nil && c.made.sa == s {
			c.made = nil
		}
		c.forget(s)
	case s.made != nil:
		// The client won a collision; its answer to ours is lost.
		made := s.made.sa
		s.made = nil
		c.adopt(now, made)
		c.forget(s)
	default:
		c.deleted(now)
	}
}

// newSPI draws the SPI of an IKE_SA.
func (g *Gateway) newSPI() (message.SPI, error) {
	var b [ikeSPISize]byte
	if _, err := io.ReadFull(g.cfg.Rand, b[:]); err != nil {
		return 0, err
	}
	return message.SPI(binary.BigEndian.Uint64(b[:]) | 1), nil
}

// derive makes the keys of an IKE_SA that rekeys old (RFC 7296 section 2.18).
func (s *ikeSA) derive(old *ikeSA, shared, ni, nr []byte, additional [][]byte) (err error) {
	defer clear(shared)
	if s.prf, err = crypto.NewPRF(s.suite.PRF.ID); err != nil {
		return err
	}
	if s.keys, err = crypto.DeriveIKERekey(s.suite, old.prf, old.keys.D, shared, ni, nr, s.spii, s.spir, additional...); err != nil {
		return err
	}
	s.reassembler.MaxOctets, s.answers.MaxOctets = maxPacket, maxPacket
	s.protector, err = crypto.NewProtector(s.suite, s.keys, s.initiator, s.client.g.cfg.Rand)
	return err
}

// deadlines reports each timer of the client to at.
func (c *client) deadlines(at func(time.Time)) {
	at(c.freeAt)
	if !c.freeAt.IsZero() {
		return
	}
	if c.report.State == Connecting {
		at(c.started.Add(c.g.cfg.HalfOpen + 1))
	}
	for _, s := range append(slices.Clone(c.old), c.ikeSA) {
		at(s.dropAt)
		if s.follow != nil {
			at(s.follow.until)
		}
		if s.own != nil {
			at(s.own.due)
		}
	}
	for _, s := range c.children {
		at(s.life.rekeyAt)
	}
	at(c.rekeyIKEAt)
	at(c.deleteAt)
	at(c.nextDPD)
}
