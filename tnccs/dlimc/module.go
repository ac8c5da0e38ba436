//go:build cgo && unix

package dlimc

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"unsafe"

	"github.com/gotnc/gotnc/tnccs"
)

// Limits on what a library may hand over in one call.
const (
	maxTypes   = 1 << 12 // message types
	maxMessage = 4 << 20 // octets
)

// module is a library in this process.
type module struct {
	entry Entry
	log   *slog.Logger // nil discards
	c     *C.gotnc_imc // C memory: the library is called from many threads

	mu      sync.Mutex
	id      uint32 // that the library knows
	offers  tnccs.Interface
	started bool // Initialize succeeded and Terminate was not called
	closed  bool
}

// openModule loads the library of e into this process. The mutex opening is held
// until the library is initialized: see bridge.c. alone means that the process
// holds nothing but this IMC.
func openModule(e Entry, alone bool, l *slog.Logger) (*module, error) {
	if err := checkFile(e); err != nil {
		return nil, err
	}
	m := &module{entry: e, log: l, c: (*C.gotnc_imc)(C.calloc(1, C.sizeof_gotnc_imc))}
	path := C.CString(e.Path)
	defer C.free(unsafe.Pointer(path))
	const size = 1024
	why := (*C.char)(C.calloc(1, size))
	defer C.free(unsafe.Pointer(why))
	var global C.int
	if alone {
		global = 1
	}
	missing := C.gotnc_open(m.c, path, global, why, size)
	if missing == nil {
		return m, nil
	}
	C.free(unsafe.Pointer(m.c))
	if name := C.GoString(missing); name != "" {
		return nil, loadError(e, ErrNoSymbol, fmt.Sprintf("it has no function %s, so it is no IMC", name))
	}
	return nil, loadError(e, ErrNotLoadable, C.GoString(why))
}

// Initialize implements tnccs.IMC.
func (m *module) Initialize(id uint32, host tnccs.TNCC) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.started {
		return tnccs.ResultAlreadyInitialized
	}
	m.id = ids.assign(m, id, host)
	if m.id == 0 {
		return loadError(m.entry, ErrNotLoadable, "all IMC IDs of this process are taken")
	}
	version := C.gotnc_u32(1) // for libraries that leave it alone
	r := result(C.gotnc_initialize(m.c, C.gotnc_u32(m.id), &version))
	if r != tnccs.ResultSuccess {
		ids.release(m)
		return loadError(m.entry, ErrRefused, fmt.Sprintf("TNC_IMC_Initialize returned %d (%s)", uint32(r), r.String()))
	}
	m.started = true
	m.offers = tnccs.Interface{Version: uint32(version), Long: m.c.receive_long != nil}
	if version != 1 {
		m.giveUp()
		return loadError(m.entry, ErrRefused, fmt.Sprintf("TNC_IMC_Initialize chose version %d of IF-IMC, where only 1 was offered", uint64(version)))
	}
	if r := result(C.gotnc_provide_bind(m.c, C.gotnc_u32(m.id))); r != tnccs.ResultSuccess {
		m.giveUp()
		return loadError(m.entry, ErrRefused, fmt.Sprintf("TNC_IMC_ProvideBindFunction returned %d (%s)", uint32(r), r.String()))
	}
	return nil
}

// giveUp ends a library whose Initialize fails. The mutex is held.
func (m *module) giveUp() {
	C.gotnc_terminate(m.c, C.gotnc_u32(m.id)) // the reason is another
	m.started = false
	ids.release(m)
}

// Interface is part of tnccs.Library.
func (m *module) Interface() tnccs.Interface {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.offers
}

// NotifyConnectionChange implements tnccs.IMC.
func (m *module) NotifyConnectionChange(connection uint32, state tnccs.ConnectionState) error {
	return failed(C.gotnc_notify(m.c, C.gotnc_u32(m.id), C.gotnc_u32(connection), C.gotnc_u32(state)))
}

// BeginHandshake implements tnccs.IMC.
func (m *module) BeginHandshake(connection uint32) error {
	return failed(C.gotnc_begin(m.c, C.gotnc_u32(m.id), C.gotnc_u32(connection)))
}

// ReceiveMessage implements tnccs.IMC. strongSwan's choice: the long function
// where the library has it and the sender is known, which it is not over
// IF-TNCCS 1.1.
func (m *module) ReceiveMessage(connection uint32, x tnccs.Message) error {
	// The library may be careless with an empty message: it gets an address all the same.
	buf := x.Data
	if len(buf) == 0 {
		buf = make([]byte, 1)
	}
	p := (*C.uchar)(unsafe.Pointer(unsafe.SliceData(buf)))
	n := C.gotnc_u32(len(x.Data))
	if m.c.receive_long != nil && (x.SourceIMV != 0 || m.c.receive == nil) {
		var flags C.gotnc_u32
		if x.Exclusive {
			flags = C.gotnc_u32(tnccs.FlagExclusive)
		}
		return failed(C.gotnc_receive_long(m.c, C.gotnc_u32(m.id), C.gotnc_u32(connection), flags, p, n,
			C.gotnc_u32(x.Vendor), C.gotnc_u32(x.Subtype), C.gotnc_u32(x.SourceIMV), C.gotnc_u32(ids.local(m, x.DestIMC))))
	}
	if x.Subtype > tnccs.AnySubtype {
		return nil // a short type cannot name it
	}
	return failed(C.gotnc_receive(m.c, C.gotnc_u32(m.id), C.gotnc_u32(connection), p, n, C.gotnc_u32(x.Vendor<<8|x.Subtype)))
}

// BatchEnding implements tnccs.IMC.
func (m *module) BatchEnding(connection uint32) error {
	return failed(C.gotnc_ending(m.c, C.gotnc_u32(m.id), C.gotnc_u32(connection)))
}

// Terminate implements tnccs.IMC.
func (m *module) Terminate() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	var err error
	if m.started {
		m.started = false
		err = failed(C.gotnc_terminate(m.c, C.gotnc_u32(m.id)))
		ids.release(m)
	}
	opening.Lock()
	C.gotnc_close(m.c)
	opening.Unlock()
	// m.c itself is kept: a thread of the library may still be inside a call.
	return err
}

func result(r C.gotnc_u32) tnccs.Result {
	if uint64(r) > math.MaxUint32 {
		return tnccs.ResultOther
	}
	return tnccs.Result(r)
}

func failed(r C.gotnc_u32) error { return tnccs.ErrorOf(result(r)) }

// fit converts values of TNC_UInt32, which is wider than its name says.
func fit(vs ...C.gotnc_u32) ([9]uint32, bool) {
	var out [9]uint32
	for i, v := range vs {
		if uint64(v) > math.MaxUint32 {
			return out, false
		}
		out[i] = uint32(v)
	}
	return out, true
}

// list copies an array of TNC_UInt32.
func list(p *C.gotnc_u32, n uint32) ([]uint32, bool) {
	if n > maxTypes || p == nil && n > 0 {
		return nil, false
	}
	out := make([]uint32, n)
	if n == 0 {
		return out, true
	}
	for i, v := range unsafe.Slice(p, n) {
		if uint64(v) > math.MaxUint32 {
			return nil, false
		}
		out[i] = uint32(v)
	}
	return out, true
}

// octets copies a buffer.
func octets(p *C.uchar, n uint32) ([]byte, bool) {
	if n > maxMessage || p == nil && n > 0 {
		return nil, false
	}
	if n == 0 {
		return []byte{}, true
	}
	return C.GoBytes(unsafe.Pointer(p), C.int(n)), true
}

// prepareChild makes C code print line by line, and a fault in it end the process
// by its signal.
func prepareChild() { C.gotnc_prepare_child() }

// ChainSignals passes SIGURG on to all Go runtimes in this process, each of which
// replaces the handler of the others when it starts. libtnccs calls it, because
// its program may load other libraries in Go. It does not block.
func ChainSignals() {
	if opening.TryLock() { // else loading an IMC does the same
		defer opening.Unlock()
		C.gotnc_chain_signals()
	}
}

// getenv returns a variable of the C environment: in libtnccs the copy of Go is
// that of the time when the library was loaded.
func getenv(name string) (string, bool) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	v := C.getenv(n)
	return C.GoString(v), v != nil
}
