package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// nonceSize is the size of the gateway's nonces in octets.
const nonceSize = 32

// childLife is where a CHILD_SA stands between being made and being deleted.
type childLife struct {
	rekeying  bool      // our CREATE_CHILD_SA for it waits or is out
	deleting  bool      // our DELETE for it waits or is out
	replaced  bool      // by another one, which sends
	standby   bool      // made by the client's rekeying: it does not send yet
	successor *childSA  // what the client's rekeying made, until the client deletes this one
	low       []byte    // the lower nonce of the exchange that made it
	rekeyAt   time.Time // when a rekeying that was refused is tried again
}

// handleCreate answers CREATE_CHILD_SA (RFC 7296 sections 1.3 and 2.25).
func (c *client) handleCreate(now time.Time, s *ikeSA, m *message.Message) {
	sa, ok := message.First[*message.SA](m.Payloads)
	nonce, ok2 := message.First[*message.Nonce](m.Payloads)
	refuse := func(t message.NotifyType) { s.respond(m.Header, &message.Notify{NotifyType: t}) }
	switch {
	case c.g.cfg.Faults.NoRekeying:
		refuse(message.NoAdditionalSAs)
	case c.report.State != Established || s.retired || s.made != nil || s.own != nil && s.own.create == endsIKE:
		refuse(message.TemporaryFailure)
	case !ok || !ok2 || len(sa.Proposals) == 0:
		refuse(message.InvalidSyntax)
	case sa.Proposals[0].Protocol == message.ProtocolIKE:
		c.answerRekeyIKE(now, s, m, sa, nonce.Data)
	case s.own != nil && s.own.create == changesIKE:
		refuse(message.TemporaryFailure)
	default:
		c.answerChild(now, s, m, sa, nonce.Data)
	}
}

// answerChild makes the CHILD_SA that the client asks for, a new one or one that
// rekeys another.
func (c *client) answerChild(now time.Time, s *ikeSA, m *message.Message, sa *message.SA, ni []byte) {
	refuse := func(n *message.Notify) { s.respond(m.Header, n) }
	var old *childSA
	if n := m.Notify(message.RekeySA); n != nil {
		switch old = c.bySPI(n.SPI); {
		case old == nil && s.own != nil && s.own.create == changesChild:
			refuse(&message.Notify{NotifyType: message.TemporaryFailure}) // our answer may be under way
			return
		case old == nil:
			refuse(&message.Notify{NotifyType: message.ChildSANotFound, Protocol: n.Protocol, SPI: n.SPI})
			return
		case old.life.deleting || old.life.replaced || old.life.successor != nil || old.life.rekeying && s.followsUp():
			refuse(&message.Notify{NotifyType: message.TemporaryFailure})
			return
		}
	}
	tsi, ok1 := message.First[*message.TSi](m.Payloads)
	tsr, ok2 := message.First[*message.TSr](m.Payloads)
	if !ok1 || !ok2 {
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	theirs, mine := c.allowed()
	if old != nil {
		theirs, mine = old.tsi, old.tsr
	}
	left, right := narrow(theirs, tsi.Selectors), narrow(mine, tsr.Selectors)
	if len(left) == 0 || len(right) == 0 {
		refuse(&message.Notify{NotifyType: message.TSUnacceptable})
		return
	}
	method := message.KENone
	ke, hasKE := message.First[*message.KE](m.Payloads)
	if hasKE {
		method = ke.Method
	}
	suite, chosen, err := crypto.SelectKE(c.g.esp, sa, method)
	if err != nil || !validSPI(chosen.SPI) {
		refuse(&message.Notify{NotifyType: message.NoProposalChosen})
		return
	}
	if suite.KE != message.KENone && suite.KE != method {
		refuse(message.NewInvalidKE(suite.KE))
		return
	}
	if err := c.acceptChild(now, s, m, &childOffer{old: old, suite: suite, chosen: chosen, ke: ke, ni: ni, tsi: left, tsr: right}); err != nil {
		log.Infof(c.g.log, "CREATE_CHILD_SA: %v", err)
		refuse(&message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// childOffer is what the gateway accepts of a client's CREATE_CHILD_SA.
type childOffer struct {
	old      *childSA // that is rekeyed; nil = a new one
	suite    crypto.Suite
	chosen   message.Proposal
	ke       *message.KE
	ni, nr   []byte
	shared   []byte
	tsi, tsr []message.TrafficSelector
	spi      []byte // ours
}

// acceptChild answers with a new CHILD_SA, which is made after the additional key
// exchanges.
func (c *client) acceptChild(now time.Time, s *ikeSA, m *message.Message, o *childOffer) error {
	var err error
	if o.nr, err = c.g.nonce(); err != nil {
		return err
	}
	if o.spi, err = c.g.random4(); err != nil {
		return err
	}
	ours := o.chosen
	ours.SPI = o.spi
	ps := []message.Payload{&message.SA{Proposals: []message.Proposal{ours}}, &message.Nonce{Data: o.nr}}
	if o.suite.KE != message.KENone {
		var public []byte
		if public, o.shared, err = crypto.RespondKE(o.ke.Method, c.g.cfg.Rand, o.ke.Data); err != nil {
			return err
		}
		ps = append(ps, &message.KE{Method: o.ke.Method, Data: public})
	}
	finish := func(_ time.Time, secrets [][]byte) error { return c.finishChild(s, o, secrets) }
	if left := o.suite.AdditionalKEs(); len(left) > 0 {
		link, err := s.await(now, &followUp{left: left, low: lower(o.ni, o.nr), child: o.old, finish: finish})
		if err != nil {
			return err
		}
		ps = append(ps, link)
	} else if err := finish(now, nil); err != nil {
		return err
	}
	s.respond(m.Header, append(ps, &message.TSi{Selectors: o.tsi}, &message.TSr{Selectors: o.tsr})...)
	return nil
}

// finishChild makes the CHILD_SA that was agreed on.
func (c *client) finishChild(s *ikeSA, o *childOffer, additional [][]byte) error {
	keys, err := crypto.DeriveChild(s.prf, s.keys.D, o.suite, o.shared, o.ni, o.nr, additional...)
	if err != nil {
		return err
	}
	made := &childSA{spi: binary.BigEndian.Uint32(o.spi), further: o.old != nil && o.old.further}
	if err := c.setUp(made, o.suite, keys, o.chosen.SPI, o.tsi, o.tsr, true); err != nil {
		return err
	}
	made.life.low = lower(o.ni, o.nr)
	if o.old != nil && slices.Contains(c.children, o.old) {
		made.life.standby = true
		o.old.life.successor = made
	}
	return nil
}

// bySPI returns the CHILD_SA that the client receives with spi; nil = none.
func (c *client) bySPI(spi []byte) *childSA {
	for _, s := range c.children {
		if bytes.Equal(s.peerSPI, spi) {
			return s
		}
	}
	return nil
}

// used notes that the client sends on s: what replaces another one sends too.
func (c *client) used(s *childSA) {
	if s.life.standby {
		s.life.standby = false
		for _, o := range c.children {
			if o.life.successor == s {
				o.life.replaced = true
			}
		}
	}
}

// sender returns the CHILD_SA that packets leave on which belong to those of s.
func (c *client) sender(s *childSA) *childSA {
	for _, o := range slices.Backward(c.children) {
		if !o.life.standby && !o.life.replaced && !o.life.deleting && slices.EqualFunc(o.tsr, s.tsr, sameSelector) {
			return o
		}
	}
	return s
}

func sameSelector(a, b message.TrafficSelector) bool { return a.String() == b.String() }

// peerDeletes drops what the client deletes, and returns the other halves. What the
// gateway deletes itself is not among them (RFC 7296 section 1.4.1).
func (c *client) peerDeletes(d *message.Delete) *message.Delete {
	reply := &message.Delete{Protocol: message.ProtocolESP}
	for _, spi := range d.SPIs {
		s := c.bySPI(spi)
		if s == nil {
			c.early = append(c.early, string(spi))
			continue
		}
		if !s.life.deleting {
			reply.SPIs = append(reply.SPIs, s.ownSPI())
		}
		if next := s.life.successor; next != nil {
			next.life.standby = false
		}
		for _, o := range c.children {
			if o.life.successor == s {
				o.life.successor = nil
			}
		}
		c.dropChild(s)
	}
	return reply
}

// nonce draws a nonce.
func (g *Gateway) nonce() ([]byte, error) {
	b := make([]byte, nonceSize)
	if _, err := io.ReadFull(g.cfg.Rand, b); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	return b, nil
}

// retry returns when a rekeying that was refused is tried again.
func (g *Gateway) retry(now time.Time) time.Time {
	var b [8]byte
	_, _ = io.ReadFull(g.cfg.Rand, b[:])
	half := g.cfg.RekeyRetry / 2
	return now.Add(half + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(half)))
}

// lower returns the lower of two nonces (RFC 7296 section 2.8.1).
func lower(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}
