// Package dataplanetest has what tests of data planes and of their users need:
// the two ends of a CHILD_SA, sockets in memory, and a Plane that records what it
// is asked for.
package dataplanetest

import (
	"bytes"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike/dataplane"
)

// Socket is a dataplane.Socket in memory. What it sends is delivered at once, in
// the goroutine of the sender.
type Socket struct {
	send    func(packets ...[]byte) error
	receive atomic.Pointer[func(packets ...[]byte)]
	// AliveCalls, SentCalls, KernelESPCalls and BypassCalls count calls.
	AliveCalls, SentCalls, KernelESPCalls, BypassCalls atomic.Int32
}

var _ dataplane.Socket = (*Socket)(nil)

// NewSocket returns a Socket that hands what it sends to send; nil discards.
func NewSocket(send func(packets ...[]byte) error) *Socket { return &Socket{send: send} }

// NewSockets returns two Sockets that are connected to each other.
func NewSockets() (a, b *Socket) {
	a, b = new(Socket), new(Socket)
	a.send = func(packets ...[]byte) error { b.Deliver(packets...); return nil }
	b.send = func(packets ...[]byte) error { a.Deliver(packets...); return nil }
	return a, b
}

// Deliver hands copies of packets to the receiver, where there is one.
func (s *Socket) Deliver(packets ...[]byte) {
	f := s.receive.Load()
	if f == nil {
		return
	}
	var copies [][]byte
	for _, p := range packets {
		copies = append(copies, bytes.Clone(p))
	}
	(*f)(copies...)
}

// SendESP sends packets to the other end.
func (s *Socket) SendESP(packets ...[]byte) error {
	if s.send == nil {
		return nil
	}
	return s.send(packets...)
}

// OnESP sets the receiver; nil drops.
func (s *Socket) OnESP(receive func(packets ...[]byte)) {
	if receive == nil {
		s.receive.Store(nil)
		return
	}
	s.receive.Store(&receive)
}

// Alive counts.
func (s *Socket) Alive() { s.AliveCalls.Add(1) }

// Sent counts.
func (s *Socket) Sent() { s.SentCalls.Add(1) }

// KernelESP counts.
func (s *Socket) KernelESP() error { s.KernelESPCalls.Add(1); return nil }

// Bypass counts.
func (s *Socket) Bypass() error { s.BypassCalls.Add(1); return nil }
