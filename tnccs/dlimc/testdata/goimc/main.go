// Command goimc is an IMC in Go, with a Go runtime of its own, for the tests of
// dlimc: it keeps its collector busy.
package main

/*
typedef unsigned long U;
typedef U (*bind_t)(U, char *, void **);
typedef U (*send_t)(U, U, unsigned char *, U, U);
typedef U (*report_t)(U, U *, U);
static U do_bind(void *f, U id, char *name, void **out) { return ((bind_t)f)(id, name, out); }
static U do_send(void *f, U id, U conn, unsigned char *m, U n, U t) { return ((send_t)f)(id, conn, m, n, t); }
static U do_report(void *f, U id, U t) { return ((report_t)f)(id, &t, 1); }
*/
import "C"

import (
	"runtime"
	"unsafe"
)

var send unsafe.Pointer

//export TNC_IMC_Initialize
func TNC_IMC_Initialize(id, minVersion, maxVersion C.U, version *C.U) C.U {
	*version = 1
	return 0
}

//export TNC_IMC_ProvideBindFunction
func TNC_IMC_ProvideBindFunction(id C.U, bind unsafe.Pointer) C.U {
	var report unsafe.Pointer
	if r := C.do_bind(bind, id, C.CString("TNC_TNCC_ReportMessageTypes"), &report); r != 0 {
		return r
	}
	if r := C.do_bind(bind, id, C.CString("TNC_TNCC_SendMessage"), &send); r != 0 {
		return r
	}
	return C.do_report(report, id, 0x00902a01)
}

//export TNC_IMC_BeginHandshake
func TNC_IMC_BeginHandshake(id, conn C.U) C.U { return reply(id, conn, 1) }

//export TNC_IMC_ReceiveMessage
func TNC_IMC_ReceiveMessage(id, conn C.U, m *C.uchar, n, t C.U) C.U { return reply(id, conn, n) }

// reply allocates, collects and recovers from a nil pointer before it sends.
func reply(id, conn, n C.U) C.U {
	func() {
		defer func() { _ = recover() }()
		var p *int
		*p = 1
	}()
	runtime.GC()
	b := make([]byte, 16+n)
	return C.do_send(send, id, conn, (*C.uchar)(unsafe.Pointer(&b[0])), 16, 0x00902a01)
}

func main() {}
