//go:build cgo && unix

package dlimc

/*
#include "bridge.h"
*/
import "C"

import (
	"runtime/debug"
	"unsafe"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// The functions that a library in this process calls (IF-IMC 1.3, TNC_TNCC_*). It may
// do so from any thread; a panic is its TNC_RESULT_FATAL, not the end of the
// process.

// recovered sets *r where the function that defers it panicked.
func recovered(imc C.gotnc_u32, r *C.gotnc_u32) {
	if p := recover(); p != nil {
		*r = C.gotnc_u32(tnccs.ResultFatal)
		log.Errorf(imcLogger(ids.logger(uint32(imc))), "a call of IMC %d failed: %v\n%s", uint32(imc), p, debug.Stack())
	}
}

const invalidParameter = C.gotnc_u32(tnccs.ResultInvalidParameter)

//export gotncReportMessageTypes
func gotncReportMessageTypes(imc C.gotnc_u32, types *C.gotnc_u32, count C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, count)
	if !ok {
		return invalidParameter
	}
	h, id := ids.host(v[0])
	ts, ok := list(types, v[1])
	if h == nil || !ok {
		return invalidParameter
	}
	return C.gotnc_u32(h.ReportMessageTypes(id, ts))
}

//export gotncReportMessageTypesLong
func gotncReportMessageTypesLong(imc C.gotnc_u32, vendors, subtypes *C.gotnc_u32, count C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, count)
	if !ok {
		return invalidParameter
	}
	h, id := ids.host(v[0])
	vs, ok1 := list(vendors, v[1])
	ss, ok2 := list(subtypes, v[1])
	if h == nil || !ok1 || !ok2 {
		return invalidParameter
	}
	return C.gotnc_u32(h.ReportMessageTypesLong(id, vs, ss))
}

//export gotncRequestHandshakeRetry
func gotncRequestHandshakeRetry(imc, connection, reason C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, connection, reason)
	h, id := ids.host(v[0])
	if h == nil || !ok {
		return invalidParameter
	}
	return C.gotnc_u32(h.RequestHandshakeRetry(id, v[1], tnccs.RetryReason(v[2])))
}

//export gotncSendMessage
func gotncSendMessage(imc, connection C.gotnc_u32, message *C.uchar, length, messageType C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, connection, length, messageType)
	if !ok {
		return invalidParameter
	}
	h, id := ids.host(v[0])
	if h == nil {
		return invalidParameter
	}
	if v[2] > maxMessage {
		return C.gotnc_u32(tnccs.ResultExceededMaxMessageSize)
	}
	b, ok := octets(message, v[2])
	if !ok {
		return invalidParameter
	}
	return C.gotnc_u32(h.SendMessage(id, v[1], b, v[3]))
}

//export gotncSendMessageLong
func gotncSendMessageLong(imc, connection, flags C.gotnc_u32, message *C.uchar, length, vendor, subtype, imv C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, connection, flags, length, vendor, subtype, imv)
	if !ok {
		return invalidParameter
	}
	h, id := ids.host(v[0])
	if h == nil {
		return invalidParameter
	}
	if v[3] > maxMessage {
		return C.gotnc_u32(tnccs.ResultExceededMaxMessageSize)
	}
	b, ok := octets(message, v[3])
	if !ok {
		return invalidParameter
	}
	return C.gotnc_u32(h.SendMessageLong(id, v[1], v[2], b, v[4], v[5], v[6]))
}

//export gotncGetAttribute
func gotncGetAttribute(imc, connection, attribute, bufferLength C.gotnc_u32, buffer *C.uchar, valueLength *C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, connection, attribute)
	h, id := ids.host(v[0])
	if h == nil || !ok || valueLength == nil {
		return invalidParameter
	}
	attr := tnccs.AttributeID(v[2])
	value, r := h.GetAttribute(id, v[1], attr)
	if r != tnccs.ResultSuccess {
		return C.gotnc_u32(r)
	}
	if attr == tnccs.AttributePrimaryIMCID {
		value = wire.AppendU32(nil, ids.primary(v[0]))
	}
	*valueLength = C.gotnc_u32(len(value)) // also where the buffer is too small
	if buffer == nil || uint64(bufferLength) < uint64(len(value)) {
		return invalidParameter
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(buffer)), len(value)), value)
	return 0
}

//export gotncSetAttribute
func gotncSetAttribute(imc, connection, attribute, bufferLength C.gotnc_u32, buffer *C.uchar) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc, connection, attribute, bufferLength)
	if !ok {
		return invalidParameter
	}
	h, id := ids.host(v[0])
	b, ok := octets(buffer, v[3])
	if h == nil || !ok {
		return invalidParameter
	}
	return C.gotnc_u32(h.SetAttribute(id, v[1], tnccs.AttributeID(v[2]), b))
}

//export gotncReserveAdditionalIMCID
func gotncReserveAdditionalIMCID(imc C.gotnc_u32, out *C.gotnc_u32) (ret C.gotnc_u32) {
	defer recovered(imc, &ret)
	v, ok := fit(imc)
	h, id := ids.host(v[0])
	if h == nil || !ok || out == nil {
		return invalidParameter
	}
	extra, r := h.ReserveAdditionalIMCID(id)
	if r != tnccs.ResultSuccess {
		return C.gotnc_u32(r)
	}
	local := ids.assignMore(v[0], extra)
	if local == 0 {
		return C.gotnc_u32(tnccs.ResultOther)
	}
	*out = C.gotnc_u32(local)
	return 0
}
