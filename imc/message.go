package imc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Bounds of one received message, whatever a verifier puts into it.
const (
	maxTurn  = 2 * time.Minute // for all its measurements
	maxReply = 64 << 20        // octets of the attributes that answer it
	// Evidence of functional components is as long as the machine's logs, not as
	// a verifier likes; its collector bounds what one request collects.
	maxEvidence = 256 << 20
)

// errReplySize ends a turn that asks for too much at once.
var errReplySize = fmt.Errorf("the answers to one message exceed %d octets", maxReply)

// BeginHandshake is TNC_IMC_BeginHandshake (IF-IMC 1.3 section 3.8.3). Unless
// imc-attestation.os_info or imc-os.push_info is off it sends the operating
// system's attributes in one message.
func (a *Agent) BeginHandshake(imcID, connectionID uint32) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	if !c.enter() {
		return a.busy(l, c)
	}
	var request []patnc.Attribute
	if c.requests {
		request = a.requestContract(c)
	}
	c.leave()
	if len(request) > 0 {
		if r := a.send(l, c, outgoing{messageType: TypePTS, source: imcID, destination: AnyIMV}, request); r != ResultSuccess {
			return r
		}
	}
	if !l.os || a.beside("imc-os") || !a.opt.pushInfo {
		return ResultSuccess
	}
	out := a.platformAttributes(l.ctx, pushed)
	return a.send(l, c, outgoing{messageType: TypeOperatingSystem, source: imcID, destination: AnyIMV}, out)
}

// beside reports whether strongSwan's IMC of that name is loaded too. It tells
// the verifier what this one would, and one of them is enough.
func (a *Agent) beside(name string) bool { return a.cfg.Beside != nil && a.cfg.Beside(name) }

// ReceiveMessage is TNC_IMC_ReceiveMessage (IF-IMC 1.3 section 3.8.4). The Agent keeps
// no view of message.
func (a *Agent) ReceiveMessage(imcID, connectionID uint32, message []byte, messageType uint32) Result {
	return a.receive(imcID, connectionID, message, TypeOfShort(messageType), AnyIMV, AnyIMC)
}

// ReceiveMessageLong is TNC_IMC_ReceiveMessageLong (IF-IMC 1.3 section 3.8.6).
func (a *Agent) ReceiveMessageLong(imcID, connectionID, flags uint32, message []byte, vendor, subtype, sourceIMVID, destinationIMCID uint32) Result {
	return a.receive(imcID, connectionID, message, MessageType{Vendor: vendor, Subtype: subtype}, sourceIMVID, destinationIMCID)
}

// ReceiveMessageSOH is TNC_IMC_ReceiveMessageSOH (IF-IMC 1.3 section 3.8.5): no message
// of IF-TNCCS-SOH is received.
func (a *Agent) ReceiveMessageSOH(imcID, connectionID uint32) Result {
	if _, r := a.get(imcID); r != ResultSuccess {
		return r
	}
	a.infof("IMC %d %q does not receive IF-TNCCS-SOH messages: Connection ID %d", imcID, a.name, connectionID)
	return ResultNoSOHSupport
}

// BatchEnding is TNC_IMC_BatchEnding (IF-IMC 1.3 section 3.8.7). Replies have left
// with the messages that asked for them.
func (a *Agent) BatchEnding(imcID, connectionID uint32) Result {
	_, r := a.get(imcID)
	return r
}

func (a *Agent) receive(imcID, connectionID uint32, message []byte, t MessageType, imv, destination uint32) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	if t.Reserved() {
		a.infof("IMC %d %q received a message of the reserved type %v", l.id, a.name, t)
		return ResultInvalidParameter
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	reply, source, r := a.turn(l, c, message, t, imv, destination)
	if r != ResultSuccess {
		return r
	}
	return a.send(l, c, outgoing{messageType: t, source: source, destination: imv, exclusive: true}, reply)
}

// turn works on one received message. A panic on the way closes the connection
// and goes on: the others are not touched.
func (a *Agent) turn(l *loaded, c *connection, message []byte, t MessageType, imv, destination uint32) (reply []patnc.Attribute, source uint32, r Result) {
	if !c.enter() {
		return nil, 0, a.busy(l, c)
	}
	whole := false
	defer func() {
		if !whole {
			c.closed.Store(true)
		}
		c.leave()
	}()
	if c.closed.Load() {
		whole = true
		a.infof("IMC %d %q has closed Connection ID %d", l.id, a.name, c.id)
		return nil, 0, ResultFatal
	}
	switch {
	case !c.hasLong:
		a.detailf("IMC %d %q received message for Connection ID %d", l.id, a.name, c.id)
	case destination != AnyIMC:
		a.detailf("IMC %d %q received message for Connection ID %d from IMV %d to IMC %d", l.id, a.name, c.id, imv, destination)
	default:
		a.detailf("IMC %d %q received message for Connection ID %d from IMV %d", l.id, a.name, c.id, imv)
	}
	dump(a.log, "", message)
	source = l.id
	if destination != AnyIMC {
		source = destination
	}
	reply, r = a.answer(l, c, message, t, imv, source)
	whole = true
	return reply, source, r
}

// answer decodes a message and returns the attributes of the reply. An error
// of the message's syntax is answered after what stood before it.
func (a *Agent) answer(l *loaded, c *connection, message []byte, t MessageType, imv, source uint32) ([]patnc.Attribute, Result) {
	m, err := patnc.Parse(message, pts.Attributes)
	if errors.Is(err, patnc.ErrHeader) {
		log.Infof(a.tnc, "%d bytes insufficient to parse PA-TNC message header", len(message))
		return nil, ResultFatal
	}
	log.Infof(a.tnc, "processing PA-TNC message with ID 0x%08x", m.ID)
	var reply []patnc.Attribute
	received := m.Attributes
	share := c.share(m.Attributes)
	for _, at := range m.Attributes {
		detail(a.tnc, "processing PA-TNC attribute type %v", at.Value.Type())
		a.dumpValue(at.Value)
		out, complete := a.segmentation(l, c, at, t, imv, source, share)
		reply = append(reply, out...)
		if complete != nil {
			detail(a.tnc, "processing PA-TNC attribute type %v", complete.Value.Type())
			received = append(received[:len(received):len(received)], *complete)
		}
	}
	fatal := a.assessment(l, c, received, t, imv, source)
	ctx, cancel := context.WithTimeout(l.ctx, maxTurn)
	defer cancel()
	size, evidence := 0, 0
	for _, at := range received {
		out, err := a.process(ctx, c, at, t)
		for _, o := range out {
			var b []byte
			if b, err = o.AppendBinary(nil); err != nil {
				break
			}
			if o.Value.Type() == pts.TypeSimpleComponentEvidence {
				evidence += len(b)
			} else {
				size += len(b)
			}
			if size > maxReply || evidence > maxEvidence {
				err = errReplySize
			}
		}
		if err != nil {
			a.infof("IMC %d %q cannot answer %v: %v", l.id, a.name, at.Value.Type(), err)
			fatal = true
			break
		}
		reply = append(reply, out...)
	}
	if fatal {
		return nil, ResultFatal
	}
	var pe *patnc.ParseError
	if errors.As(err, &pe) {
		a.tnc.Info(pe.Error())
		if pe.Answer != nil {
			reply = append(reply, patnc.Skip(*pe.Answer))
		}
	}
	return reply, ResultSuccess
}

// process answers one attribute: those of PTS under TCG/PTS, those of the
// operating system under IETF/Operating System.
func (a *Agent) process(ctx context.Context, c *connection, at patnc.Attribute, t MessageType) ([]patnc.Attribute, error) {
	switch t {
	case TypePTS:
		return c.machine.Handle(ctx, at.Value)
	case TypeOperatingSystem, TypeFirewall:
		return a.operatingSystem(ctx, at.Value, t), nil
	}
	return nil, nil
}
