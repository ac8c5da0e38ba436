package gateway

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// RekeyChildren rekeys the CHILD_SAs of all clients, as their lifetime would. It
// returns how many there are.
func (g *Gateway) RekeyChildren(now time.Time) int {
	return g.eachChild(func(s *childSA) { s.client.rekeyChild(now, s) })
}

// DeleteChildren deletes the CHILD_SAs of all clients, as an administrator would. It
// returns how many there are.
func (g *Gateway) DeleteChildren(now time.Time) int {
	return g.eachChild(func(s *childSA) { s.client.deleteChild(now, s) })
}

// eachChild calls do for every CHILD_SA that carries packets.
func (g *Gateway) eachChild(do func(*childSA)) (n int) {
	g.eachClient(func(c *client) {
		for _, s := range slices.Clone(c.children) {
			if !s.life.replaced && !s.life.deleting && !s.life.standby {
				do(s)
				n++
			}
		}
	})
	return n
}

// MakeChildren asks all clients for a CHILD_SA for each network that has none, or
// for a further one, as an administrator would. It returns how many it asks for.
func (g *Gateway) MakeChildren(now time.Time, further bool) (n int) {
	g.eachClient(func(c *client) {
		theirs, mine := c.allowed()
		for _, t := range mine {
			has := func(s *childSA) bool { return !s.life.deleting && !s.life.replaced && holds(s.tsr, t.Start) }
			if !further && slices.ContainsFunc(c.children, has) {
				continue
			}
			c.makeOwnChild(now, c.g.esp, theirs, []message.TrafficSelector{t})
			n++
		}
	})
	return n
}

// makeOwnChild asks the client for a new CHILD_SA (RFC 7296 section 1.3.1).
func (c *client) makeOwnChild(now time.Time, offer []message.Proposal, theirs, mine []message.TrafficSelector) {
	j := &ownChild{offer: offer, tsi: mine, tsr: theirs}
	if err := j.draw(c); err != nil {
		log.Infof(c.g.log, "make CHILD_SA: %v", err)
		return
	}
	c.request(now, &ownRequest{
		exchange: message.CreateChildSA, create: changesChild, payloads: j.payloads(),
		answered: func(now time.Time, m *message.Message) {
			j.begin(now, c, m, func(now time.Time, m *message.Message, secrets [][]byte) { c.childMade(j, m, secrets) })
		},
	})
}

// childMade takes the answer to our request for a new CHILD_SA.
func (c *client) childMade(j *ownChild, m *message.Message, secrets [][]byte) {
	if n := m.ErrorNotify(); n != nil {
		log.Infof(c.g.log, "making CHILD_SA: %s", n.NotifyType)
		return
	}
	made, _, err := c.buildChild(j, m, secrets)
	if err != nil {
		log.Infof(c.g.log, "making CHILD_SA: %v", err)
		return
	}
	made.further = true
	if slices.Contains(c.early, string(made.peerSPI)) {
		c.dropChild(made)
	}
	c.early = nil
}

// rekeyChild asks the client for a CHILD_SA that replaces old (RFC 7296 section 1.3.3).
func (c *client) rekeyChild(now time.Time, old *childSA) {
	l := &old.life
	l.rekeyAt = time.Time{}
	if l.rekeying || l.deleting || l.replaced || l.successor != nil {
		return
	}
	j := &ownChild{old: old, offer: []message.Proposal{c.rekeyOffer(old)}, tsi: old.tsr, tsr: old.tsi}
	if err := j.draw(c); err != nil {
		log.Infof(c.g.log, "rekey CHILD_SA: %v", err)
		return
	}
	l.rekeying = true
	c.request(now, &ownRequest{
		exchange: message.CreateChildSA, create: changesChild, payloads: j.payloads(),
		stale: func() bool {
			void := !slices.Contains(c.children, old) || l.deleting || l.replaced || l.successor != nil
			l.rekeying = !void
			return void
		},
		answered: func(now time.Time, m *message.Message) {
			j.begin(now, c, m, func(now time.Time, m *message.Message, secrets [][]byte) {
				l.rekeying = false
				c.childRekeyed(now, j, m, secrets)
			})
		},
	})
}

// rekeyOffer is the suite of old with the key exchanges that the gateway prefers.
func (c *client) rekeyOffer(old *childSA) message.Proposal {
	p := old.suite.Proposal()
	method := c.secrecy()
	if method == message.KENone {
		return p
	}
	p.Transforms = append(slices.DeleteFunc(p.Transforms, func(t message.Transform) bool { return t.Type == message.KEXCH || t.Type >= message.ADDKE1 }),
		message.Transform{Type: message.KEXCH, ID: uint16(method)})
	for _, t := range c.g.esp[0].Transforms {
		if t.Type >= message.ADDKE1 {
			p.Transforms = append(p.Transforms, t)
		}
	}
	return p
}

// ownChild is a CREATE_CHILD_SA for a CHILD_SA that the gateway started. The gateway
// is the initiator of the exchange: TSi is its side.
type ownChild struct {
	old      *childSA // that is rekeyed; nil = a new one
	offer    []message.Proposal
	spi      []byte
	ni       []byte
	ke       crypto.KeyExchange
	tsi, tsr []message.TrafficSelector
}

// draw draws SPI, nonce and key exchange value.
func (j *ownChild) draw(c *client) (err error) {
	if j.ni, err = c.g.nonce(); err != nil {
		return err
	}
	if j.spi, err = c.g.random4(); err != nil {
		return err
	}
	if method := crypto.PreferredKE(j.offer); method != message.KENone {
		j.ke, err = crypto.NewKeyExchange(method, c.g.cfg.Rand)
	}
	return err
}

func (j *ownChild) payloads() (ps []message.Payload) {
	if j.old != nil {
		ps = append(ps, &message.Notify{NotifyType: message.RekeySA, Protocol: message.ProtocolESP, SPI: j.old.ownSPI()})
	}
	ps = append(ps, crypto.SAPayload(j.offer, j.spi), &message.Nonce{Data: j.ni})
	if j.ke != nil {
		ps = append(ps, &message.KE{Method: j.ke.Method(), Data: j.ke.Public()})
	}
	return append(ps, &message.TSi{Selectors: j.tsi}, &message.TSr{Selectors: j.tsr})
}

// begin takes the answer to CREATE_CHILD_SA, and calls done after the additional key
// exchanges.
func (j *ownChild) begin(now time.Time, c *client, m *message.Message, done func(time.Time, *message.Message, [][]byte)) {
	f := &ownFollowUp{create: changesChild, child: j.old, offer: j.offer, ni: j.ni, done: done}
	f.lost = func(now time.Time) {
		if j.old != nil {
			j.old.life.rekeying, j.old.life.rekeyAt = false, c.g.retry(now)
		}
	}
	f.begin(now, c.ikeSA, m)
}

// secrecy returns the key exchange method that the gateway rekeys CHILD_SAs with.
func (c *client) secrecy() message.KEMethod { return crypto.PreferredKE(c.g.esp) }

// childRekeyed takes the answer to our rekeying.
func (c *client) childRekeyed(now time.Time, j *ownChild, m *message.Message, secrets [][]byte) {
	old := j.old
	isAlive := slices.Contains(c.children, old)
	if n := m.ErrorNotify(); n != nil {
		log.Infof(c.g.log, "rekeying CHILD_SA %08x: %s", old.spi, n.NotifyType)
		switch {
		case !isAlive:
		case n.NotifyType == message.ChildSANotFound:
			c.dropChild(old) // the client has deleted it
		case old.life.successor == nil:
			old.life.rekeyAt = c.g.retry(now)
		}
		return
	}
	made, low, err := c.buildChild(j, m, secrets)
	if err != nil {
		log.Infof(c.g.log, "rekeying CHILD_SA %08x: %v", old.spi, err)
		return
	}
	if slices.Contains(c.early, string(made.peerSPI)) {
		defer c.dropChild(made)
	}
	c.early = nil
	theirs := old.life.successor
	switch {
	case theirs != nil && bytes.Compare(low, theirs.life.low) < 0:
		// "the SA created with the lowest of the four nonces … SHOULD be closed by the
		// endpoint that created it" (RFC 7296 section 2.8.1).
		made.life.replaced = true
		c.deleteChild(now, made)
	case isAlive:
		if theirs != nil {
			theirs.life.replaced, old.life.successor = true, nil
		}
		old.life.replaced = true
		c.deleteChild(now, old)
	}
}

// buildChild sets up the CHILD_SA of the answer, and returns the lower nonce.
func (c *client) buildChild(j *ownChild, m *message.Message, secrets [][]byte) (*childSA, []byte, error) {
	sa, ok1 := message.First[*message.SA](m.Payloads)
	nonce, ok2 := message.First[*message.Nonce](m.Payloads)
	tsi, ok3 := message.First[*message.TSi](m.Payloads)
	tsr, ok4 := message.First[*message.TSr](m.Payloads)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, nil, &notifyError{message.InvalidSyntax, "answer without SA, nonce or selectors"}
	}
	suite, chosen, err := crypto.CheckChosen(j.offer, sa)
	if err != nil {
		return nil, nil, err
	}
	if len(secrets) != len(suite.AdditionalKEs()) {
		return nil, nil, errMissingKE
	}
	var shared []byte
	if j.ke != nil && suite.KE != message.KENone {
		ke, ok := message.First[*message.KE](m.Payloads)
		if !ok || ke.Method != suite.KE {
			return nil, nil, &notifyError{message.InvalidKEPayload, "another method"}
		}
		if shared, err = j.ke.Shared(ke.Data); err != nil {
			return nil, nil, err
		}
	}
	keys, err := crypto.DeriveChild(c.prf, c.keys.D, suite, shared, j.ni, nonce.Data, secrets...)
	if err != nil {
		return nil, nil, err
	}
	s := &childSA{spi: binary.BigEndian.Uint32(j.spi), further: j.old != nil && j.old.further}
	s.life.low = lower(j.ni, nonce.Data)
	return s, s.life.low, c.setUp(s, suite, keys, chosen.SPI, tsr.Selectors, tsi.Selectors, false)
}

// deleteChild sends DELETE for a CHILD_SA.
func (c *client) deleteChild(now time.Time, s *childSA) {
	if s.life.deleting {
		return
	}
	s.life.deleting = true
	c.request(now, &ownRequest{
		exchange: message.Informational, create: changesChild,
		payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{s.ownSPI()}}},
		stale:    func() bool { return !slices.Contains(c.children, s) },
		answered: func(time.Time, *message.Message) {
			if next := s.life.successor; next != nil {
				next.life.standby = false
			}
			if slices.Contains(c.children, s) {
				c.dropChild(s)
			}
		},
	})
}

// tickChildren tries again what was refused.
func (c *client) tickChildren(now time.Time) {
	for _, s := range slices.Clone(c.children) {
		if due(s.life.rekeyAt, now) {
			c.rekeyChild(now, s)
		}
	}
	if due(c.rekeyIKEAt, now) {
		c.rekeyIKE(now)
	}
}
