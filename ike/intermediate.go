package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// intermediate is the state of the IKE_INTERMEDIATE exchanges (RFC 9242) that
// carry additional key exchanges (RFC 9370 section 2.2.2) between IKE_SA_INIT
// and IKE_AUTH.
type intermediate struct {
	left   []message.KEMethod // to be run, the next one first
	auth   crypto.IntermediateAuth
	octets []byte // of auth, for AUTH; nil = there was none
}

// startIntermediate starts the additional key exchanges of the chosen proposal,
// one each exchange. It reports whether IKE_AUTH is next.
func (x *initExchange) startIntermediate(sa *ikeSA, init *message.Message) (done bool, err error) {
	x.inter = intermediate{left: sa.suite.AdditionalKEs()}
	if len(x.inter.left) > 0 && init.Notify(message.IntermediateExchangeSupported) == nil {
		return false, fmt.Errorf("%w: the gateway chose an additional key exchange without supporting IKE_INTERMEDIATE", ErrProtocol)
	}
	return x.nextIntermediate(sa)
}

func (x *initExchange) nextIntermediate(sa *ikeSA) (done bool, err error) {
	a := &x.inter
	if len(a.left) == 0 {
		a.octets = a.auth.Octets(sa.nextID)
		return true, nil
	}
	if err := x.newKE(a.left[0]); err != nil {
		return false, err
	}
	ps := []message.Payload{&message.KE{Method: x.ke.Method(), Data: x.ke.Public()}}
	first, plain, err := message.AppendPayloads(nil, ps)
	if err != nil {
		return false, err
	}
	h := message.Header{SPIi: sa.spii, SPIr: sa.spir, Exchange: message.IKEIntermediate, Flags: sa.flag(), MessageID: sa.nextID}
	if err := a.auth.Add(sa.prf, sa.keys.Pi, h, crypto.Inner{First: first, Payloads: plain}); err != nil {
		return false, err
	}
	x.state = stateIntermediate
	sa.request(request{exchange: message.IKEIntermediate, payloads: ps})
	return false, nil
}

// intermediateAnswer takes the gateway's key exchange value; the next exchange
// is protected with the keys that it leads to.
func (x *initExchange) intermediateAnswer(sa *ikeSA, e *exchange, msg *message.Message) (done bool, err error) {
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(x.ike, "received %s notify error", n.NotifyType)
		return false, refusal(n.NotifyType, &x.cfg.LocalRounds[0])
	}
	if err := x.intermediateKeys(sa, e, msg); err != nil {
		return false, err
	}
	x.inter.left = x.inter.left[1:]
	return x.nextIntermediate(sa)
}

func (x *initExchange) intermediateKeys(sa *ikeSA, e *exchange, msg *message.Message) error {
	ke, ok := message.First[*message.KE](msg.Payloads)
	if !ok || ke.Method != x.ke.Method() {
		return fmt.Errorf("%w: IKE_INTERMEDIATE response without a %s value", ErrProtocol, x.ke.Method())
	}
	if err := x.inter.auth.Add(sa.prf, sa.keys.Pr, msg.Header, *e.asm.Inner); err != nil {
		return err
	}
	shared, err := x.ke.Shared(ke.Data)
	if err != nil {
		return fmt.Errorf("%w: key exchange: %w", ErrProtocol, err)
	}
	defer clear(shared)
	x.zeroKE()
	keys, err := crypto.DeriveIKERekey(sa.suite, sa.prf, sa.keys.D, shared, x.ni, x.nr, sa.spii, sa.spir)
	if err != nil {
		return fmt.Errorf("derive keys: %w", err)
	}
	prot, err := crypto.NewProtector(sa.suite, keys, true, x.rand)
	if err != nil {
		keys.Zero()
		return fmt.Errorf("derive keys: %w", err)
	}
	sa.keys.Zero()
	sa.prot.Zero()
	sa.keys, sa.prot = keys, prot
	return nil
}
