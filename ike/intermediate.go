package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// intermediate are the IKE_INTERMEDIATE exchanges (RFC 9242) that carry
// additional key exchanges (RFC 9370 §2.2.2) between IKE_SA_INIT and IKE_AUTH.
type intermediate struct {
	left   []message.KEMethod // to be run, the next one first
	auth   crypto.IntermediateAuth
	octets []byte // of auth, for AUTH; nil = there was none
}

// afterInit starts what follows IKE_SA_INIT: the additional key exchanges of
// the chosen proposal, one each exchange, then IKE_AUTH.
func (m *Machine) afterInit(init *message.Message) error {
	m.intAuth = intermediate{left: m.suite.AdditionalKEs()}
	if len(m.intAuth.left) > 0 && init.Notify(message.IntermediateExchangeSupported) == nil {
		return fmt.Errorf("%w: the gateway chose an additional key exchange without supporting IKE_INTERMEDIATE", ErrProtocol)
	}
	return m.nextIntermediate()
}

func (m *Machine) nextIntermediate() error {
	a := &m.intAuth
	if len(a.left) == 0 {
		a.octets = a.auth.Octets(m.nextID)
		return m.sendAuth()
	}
	if err := m.newKE(a.left[0]); err != nil {
		return err
	}
	ps := []message.Payload{&message.KE{Method: m.ke.Method(), Data: m.ke.Public()}}
	first, plain, err := message.AppendPayloads(nil, ps)
	if err != nil {
		return err
	}
	h := message.Header{SPIi: m.spii, SPIr: m.spir, Exchange: message.IKEIntermediate, Flags: m.flag(), MessageID: m.nextID}
	if err := a.auth.Add(m.prf, m.keys.Pi, h, crypto.Inner{First: first, Payloads: plain}); err != nil {
		return err
	}
	m.state = stateIntermediate
	m.request(request{exchange: message.IKEIntermediate, payloads: ps})
	return nil
}

// intermediateAnswer takes the gateway's value; the next exchange is protected
// with the keys that it leads to.
func (m *Machine) intermediateAnswer(x *exchange, msg *message.Message) {
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(m.ike, "received %s notify error", n.NotifyType)
		m.fail(m.refusedBy(n))
		return
	}
	if err := m.intermediateKeys(x, msg); err != nil {
		m.fail(err)
		return
	}
	m.intAuth.left = m.intAuth.left[1:]
	if err := m.nextIntermediate(); err != nil {
		m.fail(err)
	}
}

func (m *Machine) intermediateKeys(x *exchange, msg *message.Message) error {
	ke, ok := message.First[*message.KE](msg.Payloads)
	if !ok || ke.Method != m.ke.Method() {
		return fmt.Errorf("%w: IKE_INTERMEDIATE response without a %s value", ErrProtocol, m.ke.Method())
	}
	if err := m.intAuth.auth.Add(m.prf, m.keys.Pr, msg.Header, *x.asm.Inner); err != nil {
		return err
	}
	shared, err := m.ke.Shared(ke.Data)
	if err != nil {
		return fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
	}
	defer clear(shared)
	m.ke.Zero()
	m.ke = nil
	keys, err := crypto.DeriveIKERekey(m.suite, m.prf, m.keys.D, shared, m.ni, m.nr, m.spii, m.spir)
	if err != nil {
		return fmt.Errorf("derive keys: %w", err)
	}
	prot, err := crypto.NewProtector(m.suite, keys, true, m.rand)
	if err != nil {
		keys.Zero()
		return fmt.Errorf("derive keys: %w", err)
	}
	m.keys.Zero()
	m.prot.Zero()
	m.keys, m.prot = keys, prot
	return nil
}
