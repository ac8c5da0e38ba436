package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// refuse answers the peer's CREATE_CHILD_SA with an error.
func (set *childSet) refuse(sa *ikeSA, msg *message.Message, n *message.Notify) {
	log.Infof(set.ike, "answering CREATE_CHILD_SA request with %s", n.NotifyType)
	sa.respond(msg.Header, n)
}

// peerRekeys answers the peer's CREATE_CHILD_SA that rekeys a CHILD_SA.
func (set *childSet) peerRekeys(sa *ikeSA, msg *message.Message, offer *message.SA, rekey *message.Notify) {
	c := set.find(rekey.SPI)
	switch {
	case c == nil && sa.pending != nil && sa.pending.what == doChild:
		// It may be the one that the answer to our request, under way, tells of.
		set.refuse(sa, msg, &message.Notify{NotifyType: message.TemporaryFailure})
	case c == nil || rekey.Protocol != message.ProtocolESP:
		set.refuse(sa, msg, &message.Notify{NotifyType: message.ChildSANotFound, Protocol: rekey.Protocol, SPI: rekey.SPI})
	case c.deleting || c.closing || c.successor != nil || c.replaced,
		c.rekeying && sa.pending != nil && sa.pending.exchange == message.IKEFollowupKE:
		set.refuse(sa, msg, &message.Notify{NotifyType: message.TemporaryFailure})
	default:
		set.peerCreates(sa, msg, offer, c)
	}
}

// peerCreates answers the peer's CREATE_CHILD_SA for a CHILD_SA: one that
// rekeys old, or where old is nil a new one that fits what is configured.
func (set *childSet) peerCreates(sa *ikeSA, msg *message.Message, offer *message.SA, old *childState) {
	o, ke, refusal := set.readOffer(sa, msg, offer, old)
	if refusal != nil {
		set.refuse(sa, msg, refusal)
		return
	}
	if err := set.acceptOffer(sa, msg, o, ke); err != nil {
		log.Infof(set.ike, "%v", err)
		set.refuse(sa, msg, &message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// childOffer is a CHILD_SA that the peer asked for and we agreed to.
type childOffer struct {
	agreement
	old    *childState // that it rekeys; nil = a new one
	ni, nr []byte
	shared []byte
}

// readOffer chooses from what the peer offers; refusal is the answer where
// nothing fits.
func (set *childSet) readOffer(sa *ikeSA, msg *message.Message, offer *message.SA, old *childState) (o *childOffer, ke *message.KE, refusal *message.Notify) {
	if len(set.list) >= maxChildren {
		return nil, nil, &message.Notify{NotifyType: message.NoAdditionalSAs}
	}
	tsi, ok1 := message.First[*message.TSi](msg.Payloads)
	tsr, ok2 := message.First[*message.TSr](msg.Payloads)
	nonce, ok3 := nonceOf(msg)
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, &message.Notify{NotifyType: message.InvalidSyntax}
	}
	o = &childOffer{old: old, ni: nonce}
	if old != nil {
		o.fit(old.cfg, tsr, tsi, old.localTS, old.remoteTS)
	} else {
		for _, c := range set.configured {
			local, remote := set.selectors(c, set.addresses())
			if o.fit(c, tsr, tsi, local, remote) {
				break
			}
		}
	}
	if o.cfg == nil {
		return nil, nil, &message.Notify{NotifyType: message.TSUnacceptable}
	}
	ke, hasKE := message.First[*message.KE](msg.Payloads)
	method := message.KENone
	if hasKE {
		method = ke.Method
	}
	var err error
	o.esp, o.chosen, err = crypto.SelectKE(o.cfg.forCreate(sa), offer, method)
	if err != nil || !validESPSPI(o.chosen.SPI) {
		return nil, nil, &message.Notify{NotifyType: message.NoProposalChosen}
	}
	if o.esp.KE != message.KENone && (!hasKE || ke.Method != o.esp.KE) {
		return nil, nil, message.NewInvalidKE(o.esp.KE)
	}
	return o, ke, nil
}

// fit narrows the peer's selectors to those that are allowed, and takes cfg
// where something is left.
func (o *childOffer) fit(cfg *childConfig, tsr *message.TSr, tsi *message.TSi, local, remote []TrafficSelector) bool {
	local, remote = narrow(tsr.Selectors, local), narrow(tsi.Selectors, remote)
	if len(local) == 0 || len(remote) == 0 {
		return false
	}
	o.cfg, o.local, o.remote = cfg, local, remote
	return true
}

// acceptOffer answers with our values; the CHILD_SA is set up once the
// additional key exchanges are made. An error means that nothing was answered.
func (set *childSet) acceptOffer(sa *ikeSA, msg *message.Message, o *childOffer, ke *message.KE) (err error) {
	if o.spiIn, err = set.newSPI(); err != nil {
		return err
	}
	if o.nr, err = set.random(nonceSize); err != nil {
		return err
	}
	ours := o.chosen
	ours.SPI = espSPI(o.spiIn)
	reply := []message.Payload{&message.SA{Proposals: []message.Proposal{ours}}, &message.Nonce{Data: o.nr}}
	if o.esp.KE != message.KENone {
		var public []byte
		if public, o.shared, err = crypto.RespondKE(ke.Method, set.rand, ke.Data); err != nil {
			return fmt.Errorf("key exchange: %w", err)
		}
		reply = append(reply, &message.KE{Method: ke.Method, Data: public})
	}
	left := o.esp.AdditionalKEs()
	finish := func(additional [][]byte) { set.finishOffer(sa, o, additional) }
	if len(left) > 0 {
		link, err := set.follow.await(&peerFollowUp{left: left, ni: o.ni, nr: o.nr, child: o.old, finish: finish})
		if err != nil {
			return err
		}
		reply = append(reply, link)
	}
	log.Infof(set.conf, "selected proposal: %s", suiteName{"ESP", o.esp})
	sa.respond(msg.Header, append(reply, &message.TSi{Selectors: o.remote}, &message.TSr{Selectors: o.local})...)
	if len(left) == 0 && set.state != stateDone {
		finish(nil)
	}
	return nil
}

// finishOffer derives the keys of the CHILD_SA that the peer asked for, and
// registers it.
func (set *childSet) finishOffer(sa *ikeSA, o *childOffer, additional [][]byte) {
	defer clear(o.shared)
	k, err := crypto.DeriveChild(sa.prf, sa.keys.D, o.esp, o.shared, o.ni, o.nr, additional...)
	if err != nil {
		set.fail(fmt.Errorf("derive CHILD_SA keys: %w", err))
		return
	}
	// Ei and Ai protect what the initiator of the exchange sends: the peer.
	k.Ei, k.Er, k.Ai, k.Ar = k.Er, k.Ei, k.Ar, k.Ai
	child := set.childSA(&o.agreement, k)
	isFurther := o.cfg.isCarried(set, child)
	c := set.add(o.cfg, child)
	old := o.old
	if old == nil || old.dead {
		if isFurther {
			c.unproven = sa
		}
		set.logUp(c, "")
		set.emit(ChildEstablished{Child: child, Standby: isFurther})
		return
	}
	c.standby = true
	old.successor = &peerChild{child: c, ni: o.ni, nr: o.nr}
	set.logUp(c, "inbound ")
	set.emit(ChildRekeyed{SPIIn: old.spiIn, SPIOut: old.spiOut, Child: child, Standby: true})
}
