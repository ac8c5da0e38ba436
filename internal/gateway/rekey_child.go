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
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.clients {
		if c.freed || c.report.State != Established {
			continue
		}
		for _, s := range slices.Clone(c.children) {
			if !s.life.replaced && !s.life.deleting && !s.life.standby {
				do(s)
				n++
			}
		}
	}
	return n
}

// rekeyChild asks the client for a CHILD_SA that replaces old (RFC 7296 section 1.3.3).
func (c *client) rekeyChild(now time.Time, old *childSA) {
	l := &old.life
	l.rekeyAt = time.Time{}
	if l.rekeying || l.deleting || l.replaced || l.successor != nil {
		return
	}
	ni, err := c.g.nonce()
	var spi []byte
	if err == nil {
		spi, err = c.g.random4()
	}
	var ke crypto.KeyExchange
	p := old.suite.Proposal()
	if method := c.secrecy(); err == nil && method != message.KENone {
		p.Transforms = append(slices.DeleteFunc(p.Transforms, func(t message.Transform) bool { return t.Type == message.KEXCH }),
			message.Transform{Type: message.KEXCH, ID: uint16(method)})
		ke, err = crypto.NewKeyExchange(method, c.g.cfg.Rand)
	}
	if err != nil {
		log.Infof(c.g.log, "rekey CHILD_SA: %v", err)
		return
	}
	j := &ownChild{old: old, offer: []message.Proposal{p}, spi: spi, ni: ni, ke: ke}
	ps := []message.Payload{
		&message.Notify{NotifyType: message.RekeySA, Protocol: message.ProtocolESP, SPI: old.ownSPI()},
		crypto.SAPayload(j.offer, spi), &message.Nonce{Data: ni},
	}
	if ke != nil {
		ps = append(ps, &message.KE{Method: ke.Method(), Data: ke.Public()})
	}
	l.rekeying = true
	// The gateway is the initiator of this exchange: TSi is its side.
	c.request(now, &ownRequest{
		exchange: message.CreateChildSA, create: changesChild,
		payloads: append(ps, &message.TSi{Selectors: old.tsr}, &message.TSr{Selectors: old.tsi}),
		stale: func() bool {
			void := !slices.Contains(c.children, old) || l.deleting || l.replaced || l.successor != nil
			l.rekeying = !void
			return void
		},
		answered: func(now time.Time, m *message.Message) {
			l.rekeying = false
			c.childRekeyed(now, j, m)
		},
	})
}

// ownChild is a rekeying of a CHILD_SA that the gateway started.
type ownChild struct {
	old   *childSA
	offer []message.Proposal
	spi   []byte
	ni    []byte
	ke    crypto.KeyExchange
}

// secrecy returns the key exchange method that the gateway rekeys CHILD_SAs with.
func (c *client) secrecy() message.KEMethod { return crypto.PreferredKE(c.g.esp) }

// childRekeyed takes the answer to our rekeying.
func (c *client) childRekeyed(now time.Time, j *ownChild, m *message.Message) {
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
	made, low, err := c.buildChild(j, m)
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
func (c *client) buildChild(j *ownChild, m *message.Message) (*childSA, []byte, error) {
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
	keys, err := crypto.DeriveChild(c.prf, c.keys.D, suite, shared, j.ni, nonce.Data)
	if err != nil {
		return nil, nil, err
	}
	s := &childSA{spi: binary.BigEndian.Uint32(j.spi)}
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
