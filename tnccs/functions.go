package tnccs

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// owner returns the collector with a primary or additional ID, nil if there is
// none.
func (c *Client) owner(id uint32) *collector {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[id]
}

// registered reports whether id is an IMC's, and logs a call if not.
func (c *Client) registered(id uint32, call string) bool {
	if c.owner(id) == nil {
		log.Warnf(c.tnc, "ignoring %s() from unregistered IMC %d", call, id)
		return false
	}
	return true
}

// ReportMessageTypes replaces the subscriptions of an IMC.
func (c *Client) ReportMessageTypes(imc uint32, types []uint32) Result {
	subs := make([]subscription, 0, min(len(types), MaxSubscriptions))
	for _, t := range types[:min(len(types), MaxSubscriptions+1)] {
		subs = append(subs, subscription{t >> 8, t & 0xff})
	}
	return c.report("ReportMessageTypes", imc, subs, 2)
}

// ReportMessageTypesLong replaces the subscriptions of an IMC by long types.
func (c *Client) ReportMessageTypesLong(imc uint32, vendors, subtypes []uint32) Result {
	if len(vendors) != len(subtypes) {
		return ResultInvalidParameter
	}
	subs := make([]subscription, 0, min(len(vendors), MaxSubscriptions))
	for i := range vendors[:min(len(vendors), MaxSubscriptions+1)] {
		subs = append(subs, subscription{vendors[i], subtypes[i]})
	}
	return c.report("ReportMessageTypesLong", imc, subs, 8)
}

// report replaces the subscriptions of an IMC; digits are those of a subtype in the log.
func (c *Client) report(call string, imc uint32, subs []subscription, digits int) Result {
	col := c.owner(imc)
	if col == nil || col.id != imc { // only the primary ID may report
		log.Warnf(c.tnc, "ignoring %s() from unregistered IMC %d", call, imc)
		return ResultInvalidParameter
	}
	if len(subs) > MaxSubscriptions {
		return ResultInvalidParameter
	}
	for _, s := range subs {
		if s.vendor > AnyVendor {
			return ResultInvalidParameter
		}
	}
	col.subscribed.Store(&subs)
	var b strings.Builder
	for _, s := range subs {
		name := ifimc.MessageName(s.vendor, s.subtype)
		if digits == 2 {
			name = strings.Replace(name, fmt.Sprintf("/0x%08x", s.subtype), fmt.Sprintf("/0x%02x", s.subtype), 1)
		}
		b.WriteString(" " + name)
	}
	plural := "s"
	if len(subs) == 1 {
		plural = ""
	}
	log.Detailf(c.tnc, "IMC %d supports %d message type%s:%s", imc, len(subs), plural, b.String())
	return ResultSuccess
}

// RequestHandshakeRetry asks for a new handshake of one connection or all. A
// session acts on it when it builds its next batch, in state Decided only.
func (c *Client) RequestHandshakeRetry(imc, connection uint32, reason RetryReason) Result {
	if !c.registered(imc, "RequestHandshakeRetry") {
		return ResultInvalidParameter
	}
	if connection != AnyConnection {
		log.Infof(c.tnc, "IMC %d requests handshake retry for Connection ID %d (reason: %d)", imc, connection, reason)
		s := c.session(connection)
		if s == nil {
			return ResultInvalidParameter
		}
		s.requestRetry()
		return ResultSuccess
	}
	log.Infof(c.tnc, "IMC %d requests handshake retry for all connections (reason: %d)", imc, reason)
	c.mu.Lock()
	all := make([]*Session, 0, len(c.sessions))
	for _, s := range c.sessions {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		s.requestRetry()
	}
	return ResultSuccess
}

// SendMessage queues a message of a short type for the next batch.
func (c *Client) SendMessage(imc, connection uint32, message []byte, messageType uint32) Result {
	return c.send(imc, connection, 0, message, messageType>>8, messageType&0xff, AnyIMV)
}

// SendMessageLong queues a message for the next batch.
func (c *Client) SendMessageLong(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) Result {
	return c.send(imc, connection, flags, message, vendor, subtype, imv)
}

// send queues a message in its session.
func (c *Client) send(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) Result {
	if !c.registered(imc, "SendMessage") {
		return ResultInvalidParameter
	}
	if vendor >= AnyVendor || subtype == AnySubtype || subtype == pb.TypeReserved {
		log.Warnf(c.tnc, "not sending message of invalid type 0x%02x/0x%08x", vendor, subtype)
		return ResultInvalidParameter
	}
	if imc > AnyIMC || imv > AnyIMV {
		return ResultInvalidParameter
	}
	s := c.session(connection)
	if s == nil {
		return ResultInvalidParameter
	}
	return s.enqueue(c.owner(imc), pb.PA{
		Exclusive: flags&FlagExclusive != 0,
		Vendor:    vendor,
		Subtype:   subtype,
		Collector: uint16(imc),
		Validator: uint16(imv),
		Body:      message,
	})
}

// GetAttribute returns an attribute of a connection. As in strongSwan the result
// is ResultInvalidParameter for an attribute that the client does not know.
func (c *Client) GetAttribute(imc, connection uint32, id AttributeID) ([]byte, Result) {
	if !c.registered(imc, "GetAttribute") {
		return nil, ResultInvalidParameter
	}
	s := c.session(connection)
	if s == nil {
		return nil, ResultInvalidParameter
	}
	switch id {
	case AttributePrimaryIMCID:
		col := c.owner(imc)
		if col == nil {
			return nil, ResultInvalidParameter
		}
		return u32(col.id), ResultSuccess
	default:
		return s.attribute(id)
	}
}

// SetAttribute returns ResultInvalidParameter: there is no attribute that an IMC
// may set.
func (c *Client) SetAttribute(imc, _ uint32, _ AttributeID, _ []byte) Result {
	c.registered(imc, "SetAttribute")
	return ResultInvalidParameter
}

// ReserveAdditionalIMCID returns one more ID for an IMC, which it keeps until it
// is terminated.
func (c *Client) ReserveAdditionalIMCID(imc uint32) (uint32, Result) {
	if !c.registered(imc, "ReserveAdditionalIMCID") {
		return 0, ResultInvalidParameter
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	col := c.ids[imc]
	if col == nil || len(c.ids) >= MaxIDs || c.nextIMC >= AnyIMC {
		return 0, ResultOther
	}
	id := c.nextIMC
	c.nextIMC++
	c.ids[id] = col
	log.Infof(c.tnc, "additional ID %d reserved for IMC with primary ID %d", id, col.id)
	return id, ResultSuccess
}

// u32 encodes the value of an attribute.
func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
