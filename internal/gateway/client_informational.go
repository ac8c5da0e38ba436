package gateway

import (
	"errors"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// handleInformational answers liveness checks, deletes and changes of address.
func (c *client) handleInformational(now time.Time, s *ikeSA, m *message.Message) {
	var ps []message.Payload
	isDeleted := false
	for _, d := range message.All[*message.Delete](m.Payloads) {
		switch d.Protocol {
		case message.ProtocolIKE:
			isDeleted = true
		case message.ProtocolESP:
			if r := c.peerDeletes(d); len(r.SPIs) > 0 {
				ps = append(ps, r)
			}
		}
	}
	if n := m.Notify(message.AuthenticationFailed); n != nil {
		s.respond(m.Header)
		c.report.Failure = "the client does not accept the authentication of the gateway"
		if c.report.State == Established {
			c.report.State = Failed
		}
		c.fail(now, errors.New(c.report.Failure))
		return
	}
	if isDeleted {
		s.respond(m.Header)
		c.peerDeletesIKE(now, s)
		return
	}
	if c.mobike && m.Notify(message.UpdateSAAddresses) != nil {
		ps = append(ps,
			&message.Notify{NotifyType: message.NATDetectionSourceIP, Data: crypto.NATDetection(s.spii, s.spir, c.g.local)},
			&message.Notify{NotifyType: message.NATDetectionDestinationIP, Data: crypto.NATDetection(s.spii, s.spir, c.addr)})
	}
	if n := m.Notify(message.Cookie2); n != nil {
		ps = append(ps, n)
	}
	s.respond(m.Header, ps...)
}

// deleted ends the IKE_SA after a delete.
func (c *client) deleted(now time.Time) {
	if c.report.State == Established {
		c.report.State = Deleted
		log.Infof(c.g.log, "deleting IKE_SA between %s[%s]...%s[%s]", c.g.local.Addr(), c.idr, c.addr.Addr(), c.idi)
	} else if c.report.State == Connecting {
		c.report.State, c.report.Failure = Failed, "deleted by the client"
	}
	c.dropChildren()
	c.own, c.queue = nil, nil
	c.freeAt = now.Add(linger)
}

// deleteSA deletes the IKE_SA instead of all that waits.
func (c *client) deleteSA(now time.Time) {
	c.queue = nil
	c.request(now, &ownRequest{exchange: message.Informational, create: endsIKE,
		payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}},
		answered: func(now time.Time, _ *message.Message) { c.deleted(now) }})
}
