package imchost

import (
	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/internal/base/imclink"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// userMessage is the bit of TNC_9048_UserMessage, after those of imc.Functions.
const userMessage = 8

// host is the TNC client behind the stub (imc.Host, imc.UserHost).
type host struct {
	process   *process
	functions uint32 // a bit for each function that it has
}

// ask asks the host, unless the IMC is being terminated.
func (h *host) ask(o imclink.Op, id, connection uint32, more ...[]byte) ([]byte, imc.Result) {
	if h.process.ended.Load() {
		return nil, imc.ResultOther
	}
	a := h.process.ask(o, payload(id, connection, more...))
	return a.Data, imc.Result(a.Result)
}

// result is ask where no octets are answered.
func (h *host) result(o imclink.Op, id, connection uint32, more ...[]byte) imc.Result {
	_, r := h.ask(o, id, connection, more...)
	return r
}

// Has implements imc.Host.
func (h *host) Has(f imc.Function) bool { return h.functions&(1<<uint(f)) != 0 }

// ReportMessageTypes implements imc.Host.
func (h *host) ReportMessageTypes(id uint32, types []uint32) imc.Result {
	return h.result(opReportTypes, id, imc.AnyConnection, u32s(types...))
}

// ReportMessageTypesLong implements imc.Host.
func (h *host) ReportMessageTypesLong(id uint32, types []imc.MessageType) imc.Result {
	var b []byte
	for _, t := range types {
		b = append(b, u32s(t.Vendor, t.Subtype)...)
	}
	return h.result(opReportTypesLong, id, imc.AnyConnection, b)
}

// RequestHandshakeRetry implements imc.Host.
func (h *host) RequestHandshakeRetry(id, connection uint32, reason imc.RetryReason) imc.Result {
	return h.result(opRetry, id, connection, u32s(uint32(reason)))
}

// SendMessage implements imc.Host.
func (h *host) SendMessage(id, connection uint32, message []byte, messageType uint32) imc.Result {
	return h.result(opSend, id, connection, u32s(messageType), message)
}

// SendMessageLong implements imc.Host.
func (h *host) SendMessageLong(id, connection, flags uint32, message []byte, t imc.MessageType, destination uint32) imc.Result {
	return h.result(opSendLong, id, connection, u32s(flags, t.Vendor, t.Subtype, destination), message)
}

// GetAttribute implements imc.Host.
func (h *host) GetAttribute(id, connection uint32, attribute imc.AttributeID, size int) ([]byte, imc.Result) {
	if size < 0 || size > maxAttribute {
		return nil, imc.ResultInvalidParameter
	}
	b, r := h.ask(opGetAttribute, id, connection, u32s(uint32(attribute), uint32(size)))
	if r != imc.ResultSuccess {
		return nil, r
	}
	return b[:min(len(b), size)], r
}

// maxAttribute bounds the value of an attribute, in octets.
const maxAttribute = 64 << 10

// SetAttribute implements imc.Host.
func (h *host) SetAttribute(id, connection uint32, attribute imc.AttributeID, value []byte) imc.Result {
	return h.result(opSetAttribute, id, connection, u32s(uint32(attribute)), value)
}

// ReserveAdditionalIMCID implements imc.Host.
func (h *host) ReserveAdditionalIMCID(id uint32) (uint32, imc.Result) {
	b, r := h.ask(opReserve, id, imc.AnyConnection)
	if r == imc.ResultSuccess && len(b) != 4 {
		return 0, imc.ResultOther
	}
	return wire.NewReader("answer", b).U32(), r
}

// UserMessage implements imc.UserHost.
func (h *host) UserMessage(connection uint32, message string) bool {
	if h.functions&(1<<userMessage) == 0 {
		return false
	}
	return h.result(opUserMessage, h.process.id.Load(), connection, []byte(message)) == imc.ResultSuccess
}
