package gateway

import (
	"errors"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// handleInformational answers liveness checks and deletes.
func (c *client) handleInformational(now time.Time, m *message.Message) {
	var ps []message.Payload
	isDeleted := false
	for _, d := range message.All[*message.Delete](m.Payloads) {
		switch d.Protocol {
		case message.ProtocolIKE:
			isDeleted = true
		case message.ProtocolESP:
			for _, spi := range d.SPIs {
				if c.child != nil && string(spi) == string(c.child.peerSPI) {
					ps = append(ps, &message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{c.child.ownSPI()}})
					c.dropChild()
				}
			}
		}
	}
	if n := m.Notify(message.AuthenticationFailed); n != nil {
		c.respond(m.Header)
		c.report.Failure = "the client does not accept the authentication of the gateway"
		if c.report.State == Established {
			c.report.State = Failed
		}
		c.fail(now, errors.New(c.report.Failure))
		return
	}
	if isDeleted {
		c.respond(m.Header)
		c.deleted(now)
		return
	}
	c.respond(m.Header, ps...)
}

// deleted ends the IKE_SA after a delete.
func (c *client) deleted(now time.Time) {
	if c.report.State == Established {
		c.report.State = Deleted
		log.Infof(c.g.log, "deleting IKE_SA between %s[%s]...%s[%s]", c.g.local.Addr(), c.idr, c.addr.Addr(), c.idi)
	} else if c.report.State == Connecting {
		c.report.State, c.report.Failure = Failed, "deleted by the client"
	}
	c.dropChild()
	c.own = nil
	c.freeAt = now.Add(linger)
}

// request sends a request of the gateway.
func (c *client) request(now time.Time, deletes bool, ps ...message.Payload) {
	h := message.Header{SPIi: c.spii, SPIr: c.spir, Exchange: message.Informational, MessageID: c.ownID}
	out, err := c.seal(h, ps)
	if err != nil {
		log.Infof(c.g.log, "protect %s: %v", h, err)
		return
	}
	c.own = &ownRequest{messages: out, id: c.ownID, due: now.Add(ownRetransmit), deletes: deletes}
	c.ownID++
	c.g.send(c.addr, out...)
}

func (c *client) deleteSA(now time.Time) {
	c.request(now, true, &message.Delete{Protocol: message.ProtocolIKE})
}

// handleResponse takes the answer to an own request.
func (c *client) handleResponse(now time.Time, h message.Header, b []byte) {
	if c.own == nil || h.MessageID != c.own.id {
		return
	}
	m, err := c.answers.Handle(c.protector, b)
	if err != nil || m == nil {
		return
	}
	log.Infof(c.g.enc, "parsed %s", m.Summary())
	deletes := c.own.deletes
	c.own = nil
	if deletes {
		c.deleted(now)
	}
}
