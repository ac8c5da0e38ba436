package main

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"log/slog"
	"strings"
	"unsafe"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/attestation"
)

// host calls the TNC client that loaded the library (imc.Host). Everything that
// it hands over is C memory that is freed when the client's function returns.
type host struct {
	in        *instance
	id        uint32
	functions map[imc.Function]unsafe.Pointer // never nil pointers
	logs      unsafe.Pointer                  // TNC_9048_LogMessage; nil: the host has none
	users     unsafe.Pointer                  // TNC_9048_UserMessage; nil: the host has none
}

// provide binds the host's functions and lets the Agent report its types.
func (in *instance) provide(id uint32, bind C.TNC_TNCC_BindFunctionPointer) imc.Result {
	h := &host{in: in, id: id, functions: make(map[imc.Function]unsafe.Pointer)}
	for _, f := range imc.Functions() {
		name := C.CString(f.String())
		if p := C.gotnc_bind(bind, C.TNC_IMCID(id), name); p != nil {
			h.functions[f] = p
		}
		C.free(unsafe.Pointer(name))
	}
	if C.gotnc_answers_null(bind, C.TNC_IMCID(id)) != 0 {
		h.logs, h.users = bound(bind, id, "TNC_9048_LogMessage"), bound(bind, id, "TNC_9048_UserMessage")
	}
	if h.logs != nil {
		logHost.Store(h)
	}
	return in.imc.ProvideHost(id, h)
}

// bound asks the host for one function; nil where it has none.
func bound(bind C.TNC_TNCC_BindFunctionPointer, id uint32, function string) unsafe.Pointer {
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	return C.gotnc_bind(bind, C.TNC_IMCID(id), name)
}

// log hands a line to TNC_9048_LogMessage.
func (h *host) log(level slog.Level, group, line string) {
	if h.in.terminated.Load() {
		return
	}
	text := C.CString("[" + group + "] " + line)
	defer C.free(unsafe.Pointer(text))
	defer h.in.enterHost()()
	C.gotnc_log_message(h.logs, C.TNC_IMCID(h.id), C.TNC_UInt32(attestation.Severity(level)), text)
}

// UserMessage implements imc.UserHost: false where the host shows nothing.
func (h *host) UserMessage(connection uint32, message string) bool {
	if h.users == nil || h.in.terminated.Load() {
		return false
	}
	text := C.CString(strings.Join(attestation.Lines(message), "\n"))
	defer C.free(unsafe.Pointer(text))
	defer h.in.enterHost()()
	C.gotnc_user_message(h.users, C.TNC_IMCID(h.id), C.TNC_ConnectionID(connection), text)
	return true
}

// SetAttribute implements imc.Host.
func (h *host) SetAttribute(id, connection uint32, attribute imc.AttributeID, value []byte) imc.Result {
	fn := h.function(imc.FuncSetAttribute)
	if fn == nil || len(value) > maxAttribute {
		return imc.ResultInvalidParameter
	}
	v := C.CBytes(value)
	defer C.free(v)
	defer h.in.enterHost()()
	return result(C.gotnc_set_attribute(fn, C.TNC_IMCID(id), C.TNC_ConnectionID(connection), C.TNC_AttributeID(attribute), C.TNC_UInt32(len(value)), v))
}

// ReserveAdditionalIMCID implements imc.Host.
func (h *host) ReserveAdditionalIMCID(id uint32) (uint32, imc.Result) {
	fn := h.function(imc.FuncReserveAdditionalIMCID)
	if fn == nil {
		return 0, imc.ResultIllegalOperation
	}
	out := array(1, func(int) uint32 { return 0 })
	defer C.free(unsafe.Pointer(out))
	defer h.in.enterHost()()
	r := result(C.gotnc_reserve_id(fn, C.TNC_IMCID(id), out))
	if r == imc.ResultSuccess && !inRange(*out) {
		return 0, imc.ResultOther
	}
	return uint32(*out), r
}

// Has implements imc.Host.
func (h *host) Has(f imc.Function) bool { return h.functions[f] != nil }

// function returns what to call, nil where the host has none or
// TNC_IMC_Terminate was called.
func (h *host) function(f imc.Function) unsafe.Pointer {
	if h.in.terminated.Load() {
		return nil
	}
	return h.functions[f]
}

// result takes a host's answer; hosts that answer beyond 32 bits are broken.
func result(r C.TNC_Result) imc.Result {
	if !inRange(r) {
		return imc.ResultOther
	}
	return imc.Result(r)
}

// array copies values into a C array, which the caller frees.
func array(n int, value func(int) uint32) *C.TNC_UInt32 {
	p := C.calloc(C.size_t(max(n, 1)), C.size_t(unsafe.Sizeof(C.TNC_UInt32(0))))
	for i, s := 0, unsafe.Slice((*C.TNC_UInt32)(p), n); i < n; i++ {
		s[i] = C.TNC_UInt32(value(i))
	}
	return (*C.TNC_UInt32)(p)
}

// ReportMessageTypes implements imc.Host.
func (h *host) ReportMessageTypes(id uint32, types []uint32) imc.Result {
	fn := h.function(imc.FuncReportMessageTypes)
	if fn == nil {
		return imc.ResultIllegalOperation
	}
	list := array(len(types), func(i int) uint32 { return types[i] })
	defer C.free(unsafe.Pointer(list))
	defer h.in.enterHost()()
	return result(C.gotnc_report_types(fn, C.TNC_IMCID(id), list, C.TNC_UInt32(len(types))))
}

// ReportMessageTypesLong implements imc.Host.
func (h *host) ReportMessageTypesLong(id uint32, types []imc.MessageType) imc.Result {
	fn := h.function(imc.FuncReportMessageTypesLong)
	if fn == nil {
		return imc.ResultIllegalOperation
	}
	vendors := array(len(types), func(i int) uint32 { return types[i].Vendor })
	defer C.free(unsafe.Pointer(vendors))
	subtypes := array(len(types), func(i int) uint32 { return types[i].Subtype })
	defer C.free(unsafe.Pointer(subtypes))
	defer h.in.enterHost()()
	return result(C.gotnc_report_types_long(fn, C.TNC_IMCID(id), vendors, subtypes, C.TNC_UInt32(len(types))))
}

// RequestHandshakeRetry implements imc.Host.
func (h *host) RequestHandshakeRetry(id, connection uint32, reason imc.RetryReason) imc.Result {
	fn := h.function(imc.FuncRequestHandshakeRetry)
	if fn == nil {
		return imc.ResultCantRetry
	}
	defer h.in.enterHost()()
	return result(C.gotnc_request_retry(fn, C.TNC_IMCID(id), C.TNC_ConnectionID(connection), C.TNC_RetryReason(reason)))
}

// SendMessage implements imc.Host.
func (h *host) SendMessage(id, connection uint32, message []byte, messageType uint32) imc.Result {
	fn := h.function(imc.FuncSendMessage)
	if fn == nil {
		return imc.ResultIllegalOperation
	}
	m := C.CBytes(message)
	defer C.free(m)
	defer h.in.enterHost()()
	return result(C.gotnc_send(fn, C.TNC_IMCID(id), C.TNC_ConnectionID(connection), m, C.TNC_UInt32(len(message)), C.TNC_MessageType(messageType)))
}

// SendMessageLong implements imc.Host.
func (h *host) SendMessageLong(id, connection, flags uint32, message []byte, t imc.MessageType, destination uint32) imc.Result {
	fn := h.function(imc.FuncSendMessageLong)
	if fn == nil {
		return imc.ResultIllegalOperation
	}
	m := C.CBytes(message)
	defer C.free(m)
	defer h.in.enterHost()()
	return result(C.gotnc_send_long(fn, C.TNC_IMCID(id), C.TNC_ConnectionID(connection), C.TNC_UInt32(flags), m, C.TNC_UInt32(len(message)),
		C.TNC_VendorID(t.Vendor), C.TNC_MessageSubtype(t.Subtype), C.TNC_UInt32(destination)))
}

// maxAttribute bounds the buffer of GetAttribute, in octets.
const maxAttribute = 64 << 10

// GetAttribute implements imc.Host.
func (h *host) GetAttribute(id, connection uint32, attribute imc.AttributeID, size int) ([]byte, imc.Result) {
	fn := h.function(imc.FuncGetAttribute)
	if fn == nil || size < 0 || size > maxAttribute {
		return nil, imc.ResultInvalidParameter
	}
	length := array(1, func(int) uint32 { return 0 })
	defer C.free(unsafe.Pointer(length))
	buffer := C.calloc(C.size_t(max(size, 1)), 1)
	defer C.free(buffer)
	defer h.in.enterHost()()
	r := result(C.gotnc_get_attribute(fn, C.TNC_IMCID(id), C.TNC_ConnectionID(connection), C.TNC_AttributeID(attribute), C.TNC_UInt32(size), buffer, length))
	if r != imc.ResultSuccess {
		return nil, r
	}
	// The length is also written where the value did not fit.
	if uint64(*length) > uint64(size) {
		return nil, imc.ResultInvalidParameter
	}
	return C.GoBytes(buffer, C.int(*length)), r
}
