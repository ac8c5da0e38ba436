package imc

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

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
	if !c.acquire() {
		return a.busy(l, c)
	}
	var request []patnc.Attribute
	if c.requests {
		request = a.requestContract(c)
	}
	c.release()
	if len(request) > 0 {
		if r := a.send(l, c, outgoing{messageType: TypePTS, source: imcID, destination: AnyIMV}, request); r != ResultSuccess {
			return r
		}
	}
	if !l.os || a.siblingLoaded("imc-os") || !a.opt.pushInfo {
		return ResultSuccess
	}
	out := a.platformAttributes(l.ctx, pushed)
	return a.send(l, c, outgoing{messageType: TypeOperatingSystem, source: imcID, destination: AnyIMV}, out)
}

// siblingLoaded reports whether strongSwan's IMC of that name is loaded too. It
// tells the verifier what this one would, and one of them is enough.
func (a *Agent) siblingLoaded(name string) bool {
	return a.cfg.SiblingLoaded != nil && a.cfg.SiblingLoaded(name)
}

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
	log.Infof(a.log, "IMC %d %q does not receive IF-TNCCS-SOH messages: Connection ID %d", imcID, a.name, connectionID)
	return ResultNoSOHSupport
}

// BatchEnding is TNC_IMC_BatchEnding (IF-IMC 1.3 section 3.8.7). Replies have left
// with the messages that asked for them.
func (a *Agent) BatchEnding(imcID, connectionID uint32) Result {
	_, r := a.get(imcID)
	return r
}

func (a *Agent) receive(imcID, connectionID uint32, message []byte, messageType MessageType, imv, destination uint32) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	if messageType.Reserved() {
		log.Infof(a.log, "IMC %d %q received a message of the reserved type %v", l.id, a.name, messageType)
		return ResultInvalidParameter
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	t := &turn{agent: a, loaded: l, conn: c, messageType: messageType, imv: imv, source: l.id}
	if destination != AnyIMC {
		t.source = destination
	}
	reply, r := t.run(message, destination)
	if r != ResultSuccess {
		return r
	}
	return a.send(l, c, outgoing{messageType: messageType, source: t.source, destination: imv, exclusive: true}, reply)
}
