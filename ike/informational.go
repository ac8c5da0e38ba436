package ike

import (
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// peerRequest answers a request of the gateway. Every one is answered once;
// repetitions get the same octets.
func (m *Machine) peerRequest(msg *message.Message) {
	switch msg.Exchange {
	case message.Informational:
		m.informational(msg)
	case message.IKEFollowupKE:
		m.peerFollows(msg)
	case message.CreateChildSA:
		m.createChild(msg)
	default:
		m.respond(msg.Header, &message.Notify{NotifyType: message.InvalidSyntax})
	}
}

// informational handles DELETE, error notifies and dead peer detection
// (RFC 7296 §1.4).
func (m *Machine) informational(msg *message.Message) {
	var reply []message.Payload
	var gone []*childState
	for _, d := range message.All[*message.Delete](msg.Payloads) {
		switch d.Protocol {
		case message.ProtocolIKE:
			m.peerDeletesIKE(msg)
			return
		case message.ProtocolESP:
			r, g := m.peerDeletes(d)
			if len(r.SPIs) > 0 {
				reply = append(reply, r)
			}
			gone = append(gone, g...)
		}
	}
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch {
		case n.NotifyType == message.Cookie2 && len(n.Data) >= 8 && len(n.Data) <= 64:
			reply = append(reply, n) // RFC 4555 §3.7
		case n.NotifyType == message.Redirect:
			m.redirectRequest(n)
		case n.NotifyType == message.AuthenticationFailed:
			m.respond(msg.Header)
			m.fail(m.refusedBy(n))
			return
		case n.NotifyType.IsError():
			log.Infof(m.ike, "received %s notify error", n.NotifyType)
		}
	}
	if m.mobility.enabled {
		m.otherAddresses(msg)
	}
	m.respond(msg.Header, reply...)
	for _, c := range gone {
		m.peerClosed(c)
	}
}

// peerDeletesIKE ends the IKE_SA, or one that was rekeyed.
func (m *Machine) peerDeletesIKE(msg *message.Message) {
	m.ike.Info("received DELETE for IKE_SA " + m.name())
	log.Infof(m.ike, "deleting IKE_SA %s between %s", m.name(), m.ends())
	m.respond(msg.Header)
	m.ike.Info("IKE_SA deleted")
	switch {
	case m.aside:
		m.forget(m.ikeSA)
	case m.peerRekey != nil && m.state == stateEstablished:
		// The peer won a collision whose answer was lost: what it made stands.
		before, peer := m.ikeSA, m.peerRekey
		if before.pending != nil && before.pending.job != nil {
			before.pending.job.zero()
		}
		m.peerRekey = nil
		m.rekeyedIKE(peer.sa)
		m.forget(before)
	default:
		m.finish(Closed{ByPeer: m.state != stateDeleting})
	}
}
