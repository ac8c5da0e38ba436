package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// intermediate are the IKE_INTERMEDIATE exchanges that carry additional key
// exchanges (RFC 9242, RFC 9370 section 2.2.2).
type intermediate struct {
	left   []message.KEMethod // to be run, the next one first
	auth   crypto.IntermediateAuth
	octets []byte // of auth, for AUTH; nil = there was none
}

// handleIntermediate answers one; what follows is protected with new keys.
func (c *client) handleIntermediate(now time.Time, m *message.Message) {
	if err := c.addKE(m); err != nil {
		c.respond(m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
		c.fail(now, fmt.Errorf("IKE_INTERMEDIATE: %w", err))
	}
}

func (c *client) addKE(m *message.Message) error {
	a := &c.intermediate
	ke, ok := message.First[*message.KE](m.Payloads)
	if len(a.left) == 0 || !ok || ke.Method != a.left[0] || c.report.State != Connecting {
		return errors.New("not the key exchange that is due")
	}
	if err := a.auth.Add(c.prf, c.keys.Pi, m.Header, *c.reassembler.Inner); err != nil {
		return err
	}
	public, shared, err := crypto.RespondKE(ke.Method, c.g.cfg.Rand, ke.Data)
	if err != nil {
		return err
	}
	defer clear(shared)
	ps := []message.Payload{&message.KE{Method: ke.Method, Data: public}}
	first, plain, err := message.AppendPayloads(nil, ps)
	if err != nil {
		return err
	}
	h := message.Header{
		SPIi: c.spii, SPIr: c.spir, Exchange: m.Exchange, Flags: message.FlagResponse, MessageID: m.MessageID,
	}
	if err := a.auth.Add(c.prf, c.keys.Pr, h, crypto.Inner{First: first, Payloads: plain}); err != nil {
		return err
	}
	keys, err := crypto.DeriveIKERekey(c.suite, c.prf, c.keys.D, shared, c.ni, c.nr, c.spii, c.spir)
	if err != nil {
		return err
	}
	protector, err := crypto.NewProtector(c.suite, keys, false, c.g.cfg.Rand)
	if err != nil {
		keys.Zero()
		return err
	}
	c.respond(m.Header, ps...)
	c.keys.Zero()
	c.protector.Zero()
	c.keys, c.protector = keys, protector
	if a.left = a.left[1:]; len(a.left) == 0 {
		a.octets = a.auth.Octets(c.nextID)
	}
	return nil
}
