package main

/*
#include "shim.h"
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// session is a tnccs_session. Its mutex is held while a call works on it; calls that
// only read the outcome do not lock it.
type session struct {
	c   *client
	tnc *tnccs.Session

	mu     sync.Mutex
	closed bool
}

// transports holds the names of each tnccs_transport for IMCs.
var transports = map[C.int]struct{ protocol, version string }{
	C.TNCCS_TRANSPORT_EAP_TNC: {tnccs.TransportEAP, "1.1"},
	C.TNCCS_TRANSPORT_PT_EAP:  {tnccs.TransportEAP, "2.0"},
	C.TNCCS_TRANSPORT_PT_TLS:  {tnccs.TransportTLS, "2.0"},
}

// newSession makes a session of c and returns its handle.
func (c *client) newSession(transport C.int, maxBatch C.size_t) (uintptr, error) {
	t, ok := transports[transport]
	if !ok {
		return 0, errTransport(transport)
	}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return 0, errNoClient
	}
	c.making.Add(1)
	c.mu.Unlock()
	defer c.making.Done()
	s := &session{c: c, tnc: c.tnc.NewSession()}
	if err := s.tnc.Open(int(min(maxBatch, math.MaxInt32)), t.protocol, t.version); err != nil {
		_ = s.tnc.Close() // err is the cause
		return 0, fail(C.TNCCS_E_ARGUMENT, err)
	}
	n := handles.add(s)
	c.mu.Lock()
	c.sessions[n] = s
	c.mu.Unlock()
	return n, nil
}

// close waits for a call in progress, and closes the session.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		_ = s.tnc.Close() // it has no errors of its own
	}
}

// over reports whether the session has ended: TNCCS 1.1 has no CLOSE.
func over(o tnccs.Outcome) bool {
	return o.State == pb.End || o.State == pb.Decided && o.Protocol == tnccs.ProtocolXML
}

// work runs f on the session of handle n, alone, and gives its batch to the
// program.
func work(n C.uintptr_t, batch *unsafe.Pointer, size *C.size_t, f func(*tnccs.Session) ([]byte, error)) error {
	dlimc.ChainSignals()
	s := lookup[session](uintptr(n))
	if s == nil {
		return errNoSession
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errNoSession
	}
	out, err := f(s.tnc)
	if err != nil || len(out) == 0 {
		return err
	}
	if *batch = octets(out); *batch == nil {
		return errMemory
	}
	*size = C.size_t(len(out))
	return nil
}

// ended is the error of a call for a session that is over.
func ended(o tnccs.Outcome) error {
	if o.Err != nil {
		return fail(C.TNCCS_E_STATE, fmt.Errorf("the session is over: %w", o.Err))
	}
	return fail(C.TNCCS_E_STATE, errors.New("the session is over"))
}

//export gotncSessionCreate
func gotncSessionCreate(n C.uintptr_t, transport C.int, maxBatch C.size_t, out *C.uintptr_t, why **C.char) (r C.tnccs_result) {
	defer guard(&r, why)
	dlimc.ChainSignals()
	c := lookup[client](uintptr(n))
	if c == nil {
		return result(errNoClient, why)
	}
	s, err := c.newSession(transport, maxBatch)
	if err != nil {
		return result(err, why)
	}
	*out = C.uintptr_t(s)
	return C.TNCCS_OK
}

//export gotncSessionDestroy
func gotncSessionDestroy(n C.uintptr_t) {
	defer guard(new(C.tnccs_result), nil)
	s := lookup[session](uintptr(n))
	if s == nil || !handles.remove(uintptr(n)) {
		return
	}
	s.close()
	s.c.mu.Lock()
	delete(s.c.sessions, uintptr(n))
	s.c.mu.Unlock()
}

//export gotncSessionBegin
func gotncSessionBegin(n C.uintptr_t, batch *unsafe.Pointer, size *C.size_t, why **C.char) (r C.tnccs_result) {
	defer guard(&r, why)
	return result(work(n, batch, size, func(s *tnccs.Session) ([]byte, error) {
		switch o := s.Outcome(); {
		case o.State == pb.End:
			return nil, ended(o)
		case o.State != pb.Init:
			return nil, fail(C.TNCCS_E_STATE, errors.New("the session has begun already"))
		}
		return s.Begin(0, "", "") // it is open
	}), why)
}

//export gotncSessionReceive
func gotncSessionReceive(n C.uintptr_t, received unsafe.Pointer, length C.size_t, batch *unsafe.Pointer, size *C.size_t, why **C.char) (r C.tnccs_result) {
	defer guard(&r, why)
	if length > math.MaxInt32 {
		return result(fail(C.TNCCS_E_ARGUMENT, errors.New("received_len is more than a batch can have")), why)
	}
	return result(work(n, batch, size, func(s *tnccs.Session) ([]byte, error) {
		if o := s.Outcome(); over(o) {
			return nil, ended(o)
		}
		in := bytes.Clone(unsafe.Slice((*byte)(received), length))
		hooked(in)
		out, err := s.Receive(in)
		if err != nil && s.Done() {
			err = fail(C.TNCCS_E_PROTOCOL, err)
		}
		return out, err
	}), why)
}

//export gotncSessionEnd
func gotncSessionEnd(n C.uintptr_t, batch *unsafe.Pointer, size *C.size_t, why **C.char) (r C.tnccs_result) {
	defer guard(&r, why)
	return result(work(n, batch, size, func(s *tnccs.Session) ([]byte, error) {
		if o := s.Outcome(); over(o) {
			return nil, ended(o)
		}
		return s.End(), nil
	}), why)
}

//export gotncSessionDone
func gotncSessionDone(n C.uintptr_t) (done C.int) {
	defer guard(new(C.tnccs_result), nil)
	s := lookup[session](uintptr(n))
	if s == nil || over(s.tnc.Outcome()) {
		return 1
	}
	return 0
}
