package ike

import (
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// createChild answers the peer's CREATE_CHILD_SA.
func (m *Machine) createChild(msg *message.Message) {
	sa, ok := message.First[*message.SA](msg.Payloads)
	rekey := msg.Notify(message.RekeySA)
	switch {
	case m.state != stateEstablished || m.aside:
		// Deleting, or already rekeyed.
		m.refuseChild(msg, &message.Notify{NotifyType: message.TemporaryFailure})
	case !ok || len(sa.Proposals) == 0:
		m.refuseChild(msg, &message.Notify{NotifyType: message.InvalidSyntax})
	case sa.Proposals[0].Protocol == message.ProtocolIKE:
		m.peerRekeysIKE(msg, sa)
	case m.pending != nil && m.pending.what == doRekeyIKE || m.peerRekey != nil:
		m.refuseChild(msg, &message.Notify{NotifyType: message.TemporaryFailure})
	case rekey != nil:
		c := m.findChild(rekey.SPI)
		switch {
		case c == nil || rekey.Protocol != message.ProtocolESP:
			m.refuseChild(msg, &message.Notify{NotifyType: message.ChildSANotFound, Protocol: rekey.Protocol, SPI: rekey.SPI})
		case c.deleting || c.closing || c.peerRekey != nil || c.replaced,
			c.rekeying && m.pending != nil && m.pending.exchange == message.IKEFollowupKE:
			m.refuseChild(msg, &message.Notify{NotifyType: message.TemporaryFailure})
		default:
			m.peerChild(msg, sa, c, []*childConfig{c.cfg})
		}
	default:
		m.peerChild(msg, sa, nil, m.configured)
	}
}

func (m *Machine) refuseChild(msg *message.Message, n *message.Notify) {
	log.Infof(m.ike, "answering CREATE_CHILD_SA request with %s", n.NotifyType)
	m.respond(msg.Header, n)
}

// peerChild sets up the CHILD_SA that the peer asks for: in place of old, or a
// new one that fits what is configured.
func (m *Machine) peerChild(msg *message.Message, offer *message.SA, old *childState, cfgs []*childConfig) {
	if len(m.children) >= maxChildren {
		m.refuseChild(msg, &message.Notify{NotifyType: message.NoAdditionalSAs})
		return
	}
	tsi, ok1 := message.First[*message.TSi](msg.Payloads)
	tsr, ok2 := message.First[*message.TSr](msg.Payloads)
	nonce, ok3 := message.First[*message.Nonce](msg.Payloads)
	if !ok1 || !ok2 || !ok3 || len(nonce.Data) < minNonce || len(nonce.Data) > maxNonce {
		m.refuseChild(msg, &message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	var cfg *childConfig
	var local, remote []TrafficSelector
	for _, c := range cfgs {
		allowedLocal, allowedRemote := m.selectorsOf(c)
		if old != nil {
			allowedLocal, allowedRemote = old.localTS, old.remoteTS
		}
		local, remote = narrow(tsr.Selectors, allowedLocal), narrow(tsi.Selectors, allowedRemote)
		if len(local) > 0 && len(remote) > 0 {
			cfg = c
			break
		}
	}
	if cfg == nil {
		m.refuseChild(msg, &message.Notify{NotifyType: message.TSUnacceptable})
		return
	}
	esp, chosen, err := crypto.Select(cfg.proposals, offer)
	if err != nil || len(chosen.SPI) != 4 || binary.BigEndian.Uint32(chosen.SPI) < 256 {
		m.refuseChild(msg, &message.Notify{NotifyType: message.NoProposalChosen})
		return
	}
	ke, hasKE := message.First[*message.KE](msg.Payloads)
	if esp.KE != message.KENone && (!hasKE || ke.Method != esp.KE) {
		m.refuseChild(msg, message.NewInvalidKE(esp.KE))
		return
	}
	o := &childOffer{cfg: cfg, old: old, esp: esp, chosen: chosen, ni: clone(nonce.Data), local: local, remote: remote}
	if err := m.acceptChild(msg, o, ke); err != nil {
		m.ike.Info(err.Error())
		m.refuseChild(msg, &message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// childOffer is a CHILD_SA that the peer asked for and we agreed to.
type childOffer struct {
	cfg           *childConfig
	old           *childState // in whose place; nil = a new one
	esp           crypto.Suite
	chosen        message.Proposal // with the peer's SPI
	spiIn         uint32
	ni, nr        []byte
	shared        []byte
	local, remote []TrafficSelector
}

// acceptChild answers with our values; the CHILD_SA stands once the additional
// key exchanges are made. An error means that nothing was answered.
func (m *Machine) acceptChild(msg *message.Message, o *childOffer, ke *message.KE) (err error) {
	if o.spiIn, err = m.newChildSPI(); err != nil {
		return err
	}
	if o.nr, err = m.random(nonceSize); err != nil {
		return err
	}
	ours := o.chosen
	ours.SPI = binary.BigEndian.AppendUint32(nil, o.spiIn)
	reply := []message.Payload{&message.SA{Proposals: []message.Proposal{ours}}, &message.Nonce{Data: o.nr}}
	if o.esp.KE != message.KENone {
		var public []byte
		if public, o.shared, err = crypto.RespondKE(ke.Method, m.rand, ke.Data); err != nil {
			return fmt.Errorf("key exchange: %w", err)
		}
		reply = append(reply, &message.KE{Method: ke.Method, Data: public})
	}
	left := o.esp.AdditionalKEs()
	finish := func(additional [][]byte) { m.peerMadeChild(o, additional) }
	if len(left) > 0 {
		link, err := m.await(&peerFollowUp{left: left, ni: o.ni, nr: o.nr, child: o.old, finish: finish})
		if err != nil {
			return err
		}
		reply = append(reply, link)
	}
	m.conf.Info("selected proposal: " + suiteName("ESP", o.esp))
	m.respond(msg.Header, append(reply, &message.TSi{Selectors: o.remote}, &message.TSr{Selectors: o.local})...)
	if len(left) == 0 && m.state != stateDone {
		finish(nil)
	}
	return nil
}

// peerMadeChild takes the CHILD_SA that the peer asked for into use.
func (m *Machine) peerMadeChild(o *childOffer, additional [][]byte) {
	defer clear(o.shared)
	k, err := crypto.DeriveChild(m.prf, m.keys.D, o.esp, o.shared, o.ni, o.nr, additional...)
	if err != nil {
		m.fail(fmt.Errorf("derive CHILD_SA keys: %w", err))
		return
	}
	// Ei and Ai protect what the initiator of the exchange sends: the peer.
	k.Ei, k.Er, k.Ai, k.Ar = k.Er, k.Ei, k.Ar, k.Ai
	child := m.childSA(o.cfg, o.spiIn, o.chosen.SPI, o.esp, k, o.local, o.remote)
	c := m.addChild(o.cfg, child)
	old := o.old
	if old == nil || old.dead {
		m.childUp(c, "")
		m.emit(ChildEstablished{Child: child})
		return
	}
	c.standby = true
	old.peerRekey = &peerChild{child: c, ni: o.ni, nr: o.nr}
	m.childUp(c, "inbound ")
	m.emit(ChildRekeyed{SPIIn: old.spiIn, SPIOut: old.spiOut, Child: child, Standby: true})
}
