package dlimc

import (
	"runtime/debug"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// serve runs one call of the IMC in the client.
func (c *remote) serve(o op, payload []byte) (a answer) {
	defer func() {
		if p := recover(); p != nil { // a panic ends no more than this call
			log.Errorf(c.log, "a call of IMC %q failed: %v\n%s", c.entry.Name, p, debug.Stack())
			a = answer{Result: uint32(tnccs.ResultFatal)}
		}
	}()
	c.mu.Lock()
	host := c.host
	c.mu.Unlock()
	r := wire.NewReader("question", payload)
	c.lines.await(r.U32())
	if host == nil {
		return answer{Result: uint32(tnccs.ResultNotInitialized)}
	}
	imc, res := r.U32(), tnccs.ResultInvalidParameter
	switch o {
	case opReportTypes:
		res = host.ReportMessageTypes(imc, rest(r))
	case opReportTypesLong:
		all := rest(r)
		res = host.ReportMessageTypesLong(imc, all[:len(all)/2], all[len(all)/2:])
	case opRetry:
		res = host.RequestHandshakeRetry(imc, r.U32(), tnccs.RetryReason(r.U32()))
	case opSend:
		conn, typ := r.U32(), r.U32()
		res = host.SendMessage(imc, conn, r.Rest(), typ)
	case opSendLong:
		conn, flags, vendor, subtype, imv := r.U32(), r.U32(), r.U32(), r.U32(), r.U32()
		res = host.SendMessageLong(imc, conn, flags, r.Rest(), vendor, subtype, imv)
	case opGetAttribute:
		a.Data, res = host.GetAttribute(imc, r.U32(), tnccs.AttributeID(r.U32()))
	case opSetAttribute:
		conn, attribute := r.U32(), tnccs.AttributeID(r.U32())
		res = host.SetAttribute(imc, conn, attribute, r.Rest())
	case opReserve:
		var id uint32
		if id, res = host.ReserveAdditionalIMCID(imc); res == tnccs.ResultSuccess {
			a.Data = u32s(id)
		}
	}
	a.Result = uint32(res)
	return a
}

// rest reads all remaining values.
func rest(r *wire.Reader) []uint32 {
	out := make([]uint32, r.Len()/4)
	for i := range out {
		out[i] = r.U32()
	}
	return out
}
