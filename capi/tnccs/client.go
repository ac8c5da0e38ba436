package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../include -Wall -Wextra
#cgo LDFLAGS: -ldl -lpthread
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"sync"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// client is a tnccs_client.
type client struct {
	tnc *tnccs.Client
	log *sink

	mu       sync.Mutex
	closing  bool
	making   sync.WaitGroup       // sessions that are being made; not begun once closing
	sessions map[uintptr]*session // by handle
}

// newClient makes a client and loads its IMCs. If one cannot be loaded, those that
// were loaded are ended.
func newClient(s settings, l *sink) (*client, error) {
	entries, err := s.entries()
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 && !s.imc.InProcess && s.imc.Helper == "" {
		if s.imc.Helper, err = findHelper(C.GoString(C.gotnc_library_path())); err != nil {
			return nil, fail(C.TNCCS_E_IMC, fmt.Errorf("load IMC %q: %w", entries[0].Name, err))
		}
	}
	tnc, err := tnccs.NewClient(s.client)
	if err != nil {
		return nil, fail(C.TNCCS_E_ARGUMENT, err)
	}
	if err := dlimc.AddEntries(tnc, entries, s.imc); err != nil {
		_ = tnc.Close() // err is the cause
		return nil, fail(C.TNCCS_E_IMC, withRemedy(err))
	}
	return &client{tnc: tnc, log: l, sessions: map[uintptr]*session{}}, nil
}

// close ends the client's sessions, IMCs and log.
func (c *client) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.making.Wait()
	c.mu.Lock()
	open := c.sessions
	c.sessions = nil
	c.mu.Unlock()
	for n, s := range open {
		handles.remove(n)
		s.close()
	}
	_ = c.tnc.Close() // what IMCs answer to Terminate is logged
	c.log.close()
}

//export gotncClientCreate
func gotncClientCreate(o *C.tnccs_options, data C.uintptr_t, out *C.uintptr_t, why **C.char) (r C.tnccs_result) {
	l := &sink{f: o.log, data: data}
	defer func() {
		if r != C.TNCCS_OK {
			l.close()
		}
	}()
	defer guard(&r, why)
	dlimc.ChainSignals()
	s, err := readOptions(o)
	if err != nil {
		return result(err, why)
	}
	s.client.Logger = l.logger(int(o.log_level))
	s.imc.Logger = s.client.Logger
	c, err := newClient(s, l)
	if err != nil {
		return result(err, why)
	}
	*out = C.uintptr_t(handles.add(c))
	return C.TNCCS_OK
}

//export gotncClientDestroy
func gotncClientDestroy(n C.uintptr_t) {
	defer guard(new(C.tnccs_result), nil)
	if c := lookup[client](uintptr(n)); c != nil && handles.remove(uintptr(n)) {
		c.close()
	}
}

//export gotncClientIMCCount
func gotncClientIMCCount(n C.uintptr_t) (count C.size_t) {
	defer guard(new(C.tnccs_result), nil)
	if c := lookup[client](uintptr(n)); c != nil {
		count = C.size_t(len(c.tnc.Collectors()))
	}
	return count
}

//export gotncClientIMCName
func gotncClientIMCName(n C.uintptr_t, index C.size_t) (name *C.char) {
	defer guard(new(C.tnccs_result), nil)
	c := lookup[client](uintptr(n))
	if c == nil {
		return nil
	}
	if imcs := c.tnc.Collectors(); index < C.size_t(len(imcs)) {
		name = text(imcs[index].Name)
	}
	return name
}

//export gotncVersion
func gotncVersion() *C.char { return text(version) }

// errTransport is an argument that is none of tnccs_transport.
func errTransport(t C.int) error {
	return fail(C.TNCCS_E_ARGUMENT, fmt.Errorf("transport is %d: use one of TNCCS_TRANSPORT_…", t))
}
