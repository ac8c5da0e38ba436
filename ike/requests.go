package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// receive matches a datagram to its exchange. Nothing that is not
// authenticated changes the state, but in IKE_SA_INIT.
func (m *Machine) receive(d Datagram) {
	log.Infof(m.net, "received packet: from %s to %s (%d bytes)", endpoint(d.From), endpoint(m.path.local), len(d.Data))
	if len(d.Data) > m.cfg.Fragmentation.MaxPacket {
		m.drop(fmt.Sprintf("%d bytes, at most %d are accepted (charon.max_packet)", len(d.Data), m.cfg.Fragmentation.MaxPacket))
		return
	}
	h, err := message.ParseHeader(d.Data)
	if err != nil {
		m.drop(err.Error())
		return
	}
	if int64(h.Length) != int64(len(d.Data)) {
		m.drop("length in the header does not match")
		return
	}
	switch sa := m.sas.owner(h); {
	case sa == nil:
		m.drop("not for this IKE_SA")
	case h.IsResponse():
		m.receiveResponse(sa, h, d)
	default:
		m.receiveRequest(sa, h, d)
	}
}

func (m *Machine) receiveResponse(sa *ikeSA, h message.Header, d Datagram) {
	x := sa.pending
	if x == nil || h.MessageID != x.id || h.Exchange != x.exchange {
		log.Infof(m.net, "received %s that no request waits for, ignored", h)
		return
	}
	if m.state == stateInit {
		m.receiveInit(sa, d)
		return
	}
	msg := sa.openResponse(h, d.Data)
	if msg == nil {
		return
	}
	m.lastIn = m.now
	m.dropped = ""
	m.answered++
	sa.pending = nil
	m.mobility.followGateway(d.From)
	switch m.state {
	case stateIntermediate:
		m.continueInit(m.init.intermediateAnswer(sa, x, msg))
	case stateAuth, stateEAP, stateAuthFinal:
		m.auth.answer(sa, msg)
		m.checkEstablished()
	case stateEstablished, stateDeleting:
		m.jobAnswer(sa, x, msg)
	}
}

// receiveInit handles a response to IKE_SA_INIT.
func (m *Machine) receiveInit(sa *ikeSA, d Datagram) {
	if d.From != m.path.remote {
		m.drop("IKE_SA_INIT response from another address than the gateway's")
		return
	}
	msg, err := message.Parse(d.Data)
	if err != nil {
		m.drop(err.Error())
		return
	}
	log.Infof(m.enc, "parsed %s", summary{msg})
	m.answered++
	if !m.init.answer(sa, msg, d.Data) {
		return
	}
	m.lastIn = m.now
	m.auth.limitEAP()
	if err := m.auth.readAbilities(msg); err != nil {
		m.fail(err)
		return
	}
	m.init.detectNAT(sa, msg)
	m.continueInit(m.init.startIntermediate(sa, msg))
}

// continueInit starts IKE_AUTH, where the key exchanges are done.
func (m *Machine) continueInit(done bool, err error) {
	if err == nil && done {
		err = m.auth.start(m.sas.current)
	}
	if err != nil {
		m.fail(err)
	}
}

// jobAnswer hands a response in the established IKE_SA to what it is for.
func (m *Machine) jobAnswer(sa *ikeSA, x *exchange, msg *message.Message) {
	switch x.what {
	case doDelete:
		m.ike.Info("IKE_SA deleted")
		if sa.retired {
			m.sas.forget(sa)
			return
		}
		m.finish(Closed{})
	case doRekeyIKE:
		if sa.retired {
			x.job.zero()
			return
		}
		if msg := m.follow.collect(sa, x, msg); msg != nil {
			m.sas.answer(sa, x.job, msg)
		}
	case doChild:
		if m.state != stateEstablished {
			x.job.zero()
			return
		}
		if msg := m.follow.collect(sa, x, msg); msg != nil {
			m.children.answer(sa, x.job, msg)
		}
	case doDeleteChild:
		m.children.deleted(x.child)
	case doUpdate:
		m.mobility.updateAnswer(sa, x.cookie2, msg)
	case doDPD:
		m.mobility.dpdAnswer(sa, msg)
	}
}

// receiveRequest handles requests of the peer, which has a window of 1 too.
// Every one is answered once; repetitions get the same octets.
func (m *Machine) receiveRequest(sa *ikeSA, h message.Header, d Datagram) {
	if m.state < stateEstablished || h.SPIr != sa.spir {
		// Before both sides are authenticated there is nothing to ask us; what
		// overtook the last IKE_AUTH response comes again.
		log.Infof(m.net, "received %s in state %s, ignored", h, m.state)
		return
	}
	msg := sa.openRequest(h, d)
	if msg == nil {
		return
	}
	m.lastIn = m.now
	m.mobility.followGateway(d.From)
	// It waits for our answer before it asks for something else (window 1).
	m.children.prove(func(c *childState) bool { return c.unproven == sa })
	switch msg.Exchange {
	case message.Informational:
		m.informational(sa, msg)
	case message.IKEFollowupKE:
		m.follow.answer(sa, msg)
	case message.CreateChildSA:
		m.createChild(sa, msg)
	default:
		sa.respond(msg.Header, &message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// createChild answers the peer's CREATE_CHILD_SA.
func (m *Machine) createChild(sa *ikeSA, msg *message.Message) {
	offer, ok := message.First[*message.SA](msg.Payloads)
	rekey := msg.Notify(message.RekeySA)
	busy := sa.pending != nil && sa.pending.what == doRekeyIKE || m.sas.peer != nil
	switch {
	case m.state != stateEstablished || sa.retired:
		m.children.refuse(sa, msg, &message.Notify{NotifyType: message.TemporaryFailure})
	case !ok || len(offer.Proposals) == 0:
		m.children.refuse(sa, msg, &message.Notify{NotifyType: message.InvalidSyntax})
	case offer.Proposals[0].Protocol == message.ProtocolIKE:
		m.sas.peerRekeys(sa, msg, offer)
	case busy:
		m.children.refuse(sa, msg, &message.Notify{NotifyType: message.TemporaryFailure})
	case rekey != nil:
		m.children.peerRekeys(sa, msg, offer, rekey)
	default:
		m.children.peerCreates(sa, msg, offer, nil)
	}
}

// informational handles DELETE, error notifies and dead peer detection
// (RFC 7296 section 1.4).
func (m *Machine) informational(sa *ikeSA, msg *message.Message) {
	var reply []message.Payload
	var closed []*childState
	for _, d := range message.All[*message.Delete](msg.Payloads) {
		switch d.Protocol {
		case message.ProtocolIKE:
			m.peerDeletesIKE(sa, msg)
			return
		case message.ProtocolESP:
			r, c := m.children.peerDeletes(d)
			if len(r.SPIs) > 0 {
				reply = append(reply, r)
			}
			closed = append(closed, c...)
		}
	}
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch {
		case n.NotifyType == message.Cookie2 && len(n.Data) >= minCookie2 && len(n.Data) <= maxCookie2:
			reply = append(reply, n) // RFC 4555 section 3.7
		case n.NotifyType == message.Redirect:
			m.redirect.fromRequest(sa, n)
		case n.NotifyType == message.AuthenticationFailed:
			sa.respond(msg.Header)
			m.fail(m.auth.refused(n))
			return
		case n.NotifyType.IsError():
			log.Infof(m.ike, "received %s notify error", n.NotifyType)
		}
	}
	if m.mobility.enabled {
		m.mobility.readAddresses(msg)
	}
	if !sa.retired {
		m.life.readAuthLifetime(msg)
	}
	sa.respond(msg.Header, reply...)
	for _, c := range closed {
		m.children.peerClosed(c)
	}
}

// peerDeletesIKE ends the IKE_SA, or one that was rekeyed.
func (m *Machine) peerDeletesIKE(sa *ikeSA, msg *message.Message) {
	log.Infof(m.ike, "received DELETE for IKE_SA %s", sa.name())
	log.Infof(m.ike, "deleting IKE_SA %s between %s", sa.name(), m.ends())
	sa.respond(msg.Header)
	m.ike.Info("IKE_SA deleted")
	peer := m.sas.peer
	switch {
	case peer != nil && peer.sa == sa:
		peer.deleted = true
	case sa.retired:
		m.sas.forget(sa)
	case peer != nil && !peer.deleted:
		// The peer won a collision whose answer was lost: what it made counts. A
		// DELETE of ours that waits goes over that.
		m.sas.peer = nil
		m.sas.rekeyed(peer.sa)
		m.sas.forget(sa)
	default:
		m.finish(Closed{ByPeer: m.state != stateDeleting})
	}
}
