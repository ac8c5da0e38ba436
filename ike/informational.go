package ike

import (
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
)

// peerRequest answers a request of the gateway. Every one is answered once;
// repetitions get the same octets.
func (m *Machine) peerRequest(msg *message.Message) {
	switch msg.Exchange {
	case message.Informational:
		m.informational(msg)
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
	var gone []Event
	for _, d := range message.All[*message.Delete](msg.Payloads) {
		switch d.Protocol {
		case message.ProtocolIKE:
			m.ike.Info("received DELETE for IKE_SA " + m.name())
			m.ike.Info(fmt.Sprintf("deleting IKE_SA %s between %s", m.name(), m.ends()))
			m.respond(msg.Header)
			m.ike.Info("IKE_SA deleted")
			m.finish(Closed{ByPeer: m.state != stateDeleting})
			return
		case message.ProtocolESP:
			if e, p := m.deleteChild(d); p != nil {
				reply, gone = append(reply, p), append(gone, e)
			}
		}
	}
	for _, n := range message.All[*message.Notify](msg.Payloads) {
		switch {
		case n.NotifyType == message.Cookie2 && len(n.Data) >= 8 && len(n.Data) <= 64:
			reply = append(reply, n) // RFC 4555 §3.7
		case n.NotifyType == message.AuthenticationFailed:
			m.respond(msg.Header)
			m.fail(refusedBy(n))
			return
		case n.NotifyType.IsError():
			m.ike.Info(fmt.Sprintf("received %s notify error", n.NotifyType))
		}
	}
	m.respond(msg.Header, reply...)
	for _, e := range gone {
		m.emit(e)
	}
}

// deleteChild answers the peer's inbound SPI with ours (RFC 7296 §1.4.1).
func (m *Machine) deleteChild(d *message.Delete) (Event, message.Payload) {
	for _, spi := range d.SPIs {
		if m.child == nil || len(spi) != 4 || binary.BigEndian.Uint32(spi) != m.child.spiOut {
			continue
		}
		c := *m.child
		m.child = nil
		m.ike.Info(fmt.Sprintf("received DELETE for ESP CHILD_SA with SPI %08x", c.spiOut))
		return ChildClosed{SPIIn: c.spiIn, SPIOut: c.spiOut},
			&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, c.spiIn)}}
	}
	return nil, nil
}

// createChild refuses rekeying for now (RFC 7296 §2.25: the gateway tries
// again or closes) and further CHILD_SAs for good (§1.3).
func (m *Machine) createChild(msg *message.Message) {
	n := &message.Notify{NotifyType: message.NoAdditionalSAs}
	sa, hasSA := message.First[*message.SA](msg.Payloads)
	switch rekey := msg.Notify(message.RekeySA); {
	case m.state == stateDeleting:
		n.NotifyType = message.TemporaryFailure
	case rekey != nil:
		n.NotifyType = message.TemporaryFailure
		if m.child == nil || len(rekey.SPI) != 4 || binary.BigEndian.Uint32(rekey.SPI) != m.child.spiOut {
			n = &message.Notify{NotifyType: message.ChildSANotFound, Protocol: rekey.Protocol, SPI: rekey.SPI}
		}
	case hasSA && sa.Proposals[0].Protocol == message.ProtocolIKE:
		n.NotifyType = message.TemporaryFailure
	}
	m.ike.Info(fmt.Sprintf("answering CREATE_CHILD_SA request with %s", n.NotifyType))
	m.respond(msg.Header, n)
}
