package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../include -Wall -Wextra
#cgo LDFLAGS: -ldl -lpthread
#include "shim.h"
*/
import "C"

import (
	"math"
	"unsafe"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// maxMessage is the longest message that is copied in, in octets. Transports
// carry less: 65,490 octets over EAP, 2 MB over PT-TLS.
const maxMessage = 16 << 20

// inRange reports whether all values fit the 32 bits that IF-IMC gives
// TNC_UInt32, whatever its C type.
func inRange(vs ...C.TNC_UInt32) bool {
	for _, v := range vs {
		if uint64(v) > math.MaxUint32 {
			return false
		}
	}
	return true
}

// octets copies a buffer of the host's.
func octets(p C.TNC_BufferReference, n C.TNC_UInt32) ([]byte, bool) {
	if n == 0 {
		return nil, true
	}
	if p == nil || n > maxMessage {
		return nil, false
	}
	return C.GoBytes(unsafe.Pointer(p), C.int(n)), true
}

// guard turns a panic into TNC_RESULT_FATAL.
func guard(function string, r *C.TNC_Result) {
	if p := recover(); p != nil {
		reportPanic(function, p)
		*r = C.TNC_RESULT_FATAL
	}
}

//export gotncInitialize
func gotncInitialize(id C.TNC_IMCID, lowest, highest C.TNC_Version, actual *C.TNC_Version) (r C.TNC_Result) {
	defer guard("TNC_IMC_Initialize", &r)
	if actual == nil || id >= C.TNC_UInt32(imc.AnyIMC) || !inRange(lowest, highest) {
		return C.TNC_RESULT_INVALID_PARAMETER
	}
	v, res := library.initialize(uint32(id), uint32(lowest), uint32(highest))
	if res == imc.ResultSuccess {
		*actual = C.TNC_Version(v)
	}
	return C.TNC_Result(res)
}

//export gotncProvideBindFunction
func gotncProvideBindFunction(id C.TNC_IMCID, bind C.TNC_TNCC_BindFunctionPointer) (r C.TNC_Result) {
	defer guard("TNC_IMC_ProvideBindFunction", &r)
	in := library.enter()
	if in == nil {
		return C.TNC_RESULT_NOT_INITIALIZED
	}
	defer library.leave(in)
	if bind == nil || !inRange(id) {
		return C.TNC_RESULT_INVALID_PARAMETER
	}
	return C.TNC_Result(in.provide(uint32(id), bind))
}

// call runs f on the initialised instance, with the values that must fit 32
// bits checked.
func call(function string, f func(*imc.Agent) imc.Result, vs ...C.TNC_UInt32) (r C.TNC_Result) {
	defer guard(function, &r)
	in := library.enter()
	if in == nil {
		return C.TNC_RESULT_NOT_INITIALIZED
	}
	defer library.leave(in)
	if !inRange(vs...) {
		return C.TNC_RESULT_INVALID_PARAMETER
	}
	return C.TNC_Result(f(in.imc.Agent))
}

//export gotncNotifyConnectionChange
func gotncNotifyConnectionChange(id C.TNC_IMCID, conn C.TNC_ConnectionID, state C.TNC_ConnectionState) C.TNC_Result {
	return call("TNC_IMC_NotifyConnectionChange", func(a *imc.Agent) imc.Result {
		return a.NotifyConnectionChange(uint32(id), uint32(conn), imc.ConnectionState(state))
	}, id, conn, state)
}

//export gotncBeginHandshake
func gotncBeginHandshake(id C.TNC_IMCID, conn C.TNC_ConnectionID) C.TNC_Result {
	return call("TNC_IMC_BeginHandshake", func(a *imc.Agent) imc.Result {
		return a.BeginHandshake(uint32(id), uint32(conn))
	}, id, conn)
}

//export gotncReceiveMessage
func gotncReceiveMessage(id C.TNC_IMCID, conn C.TNC_ConnectionID, message C.TNC_BufferReference, length C.TNC_UInt32, messageType C.TNC_MessageType) C.TNC_Result {
	return call("TNC_IMC_ReceiveMessage", func(a *imc.Agent) imc.Result {
		b, ok := octets(message, length)
		if !ok {
			return imc.ResultInvalidParameter
		}
		return a.ReceiveMessage(uint32(id), uint32(conn), b, uint32(messageType))
	}, id, conn, length, messageType)
}

//export gotncReceiveMessageSOH
func gotncReceiveMessageSOH(id C.TNC_IMCID, conn C.TNC_ConnectionID) C.TNC_Result {
	return call("TNC_IMC_ReceiveMessageSOH", func(a *imc.Agent) imc.Result {
		return a.ReceiveMessageSOH(uint32(id), uint32(conn))
	}, id, conn)
}

//export gotncReceiveMessageLong
func gotncReceiveMessageLong(id C.TNC_IMCID, conn C.TNC_ConnectionID, flags C.TNC_UInt32, message C.TNC_BufferReference, length C.TNC_UInt32, vendor C.TNC_VendorID, subtype C.TNC_MessageSubtype, source, destination C.TNC_UInt32) C.TNC_Result {
	return call("TNC_IMC_ReceiveMessageLong", func(a *imc.Agent) imc.Result {
		b, ok := octets(message, length)
		if !ok {
			return imc.ResultInvalidParameter
		}
		return a.ReceiveMessageLong(uint32(id), uint32(conn), uint32(flags), b, uint32(vendor), uint32(subtype), uint32(source), uint32(destination))
	}, id, conn, flags, length, vendor, subtype, source, destination)
}

//export gotncBatchEnding
func gotncBatchEnding(id C.TNC_IMCID, conn C.TNC_ConnectionID) C.TNC_Result {
	return call("TNC_IMC_BatchEnding", func(a *imc.Agent) imc.Result {
		return a.BatchEnding(uint32(id), uint32(conn))
	}, id, conn)
}

//export gotncTerminate
func gotncTerminate(id C.TNC_IMCID) (r C.TNC_Result) {
	defer guard("TNC_IMC_Terminate", &r)
	if !inRange(id) {
		return C.TNC_RESULT_INVALID_PARAMETER
	}
	return C.TNC_Result(library.terminate(uint32(id)))
}

func reportPanic(function string, p any) {
	defer func() { _ = recover() }() // the report must not be the second panic
	log.Errorf(logger(), "%s failed: %v", function, p)
}
