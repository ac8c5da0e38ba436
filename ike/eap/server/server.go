// Package server holds the servers' halves of EAP methods, for gateways and
// tests: EAP-TLS, EAP-TTLS and PEAP with their framing, TLS and keys; and for
// the inside of a tunnel EAP-MD5, EAP-TNC and PT-EAP. No peer imports it.
package server

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsstep"
)

// inside is what a method does with the tunnel.
type inside interface {
	// Greet returns what is sent together with the end of the handshake, mostly
	// nothing.
	Greet(st tls.ConnectionState) ([]byte, error)
	// Receive takes what the client said in the tunnel, nothing where it sent an
	// empty packet, and returns what to answer in the request of identifier id.
	// With done the method ends with success, after the answer, where there is
	// one, was acknowledged; an error ends it with failure.
	Receive(id uint8, app []byte) (answer []byte, done bool, err error)
}

// Config is what the server of every method on TLS needs.
type Config struct {
	// TLS holds certificates and versions; it is cloned.
	TLS *tls.Config
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is 9980.
	FragmentSize int
	// FirstID is the identifier of the start packet.
	FirstID uint8
}

var errUnexpected = errors.New("unexpected EAP response")

// Server is one conversation. It belongs to one goroutine. Close it.
type Server struct {
	kind     tlskind.Kind
	in       inside
	frame    *tlsframe.Conn
	tls      *tlsstep.Conn
	keys     tlsstep.Keys
	id       uint8 // of the request under way
	lastID   uint8
	tunnel   bool
	finished bool // the inside is done, its last words are under way
	failed   error
	status   eap.Status
}

// newServer returns a Server; Start makes its first request.
func newServer(kind tlskind.Kind, cfg Config, in inside) *Server {
	tc := cfg.TLS.Clone()
	tc.MinVersion = max(tc.MinVersion, tls.VersionTLS12)
	return &Server{
		kind: kind, in: in,
		frame: tlsframe.New(kind.Frame(cfg.FragmentSize)),
		tls:   tlsstep.Server(tc),
		id:    cfg.FirstID,
	}
}

// Start returns the start packet.
func (s *Server) Start() []byte { return s.packet(s.frame.StartPacket()) }

// Handle takes one response of the client and returns the next packet to send.
// With StatusSuccess the packet is the Success, with StatusFailure the Failure
// and the error says why.
func (s *Server) Handle(response []byte) (packet []byte, status eap.Status, err error) {
	if s.status != eap.StatusContinue {
		return nil, s.status, errUnexpected
	}
	packet, done, err := s.handle(response)
	switch {
	case err != nil:
		s.status = eap.StatusFailure
		packet = s.result(eap.CodeFailure)
	case done:
		s.status = eap.StatusSuccess
		packet = s.result(eap.CodeSuccess)
	}
	return packet, s.status, err
}

func (s *Server) handle(response []byte) (request []byte, done bool, err error) {
	res, err := eap.Parse(response)
	if err != nil {
		return nil, false, err
	}
	if res.Code != eap.CodeResponse || res.Type != s.kind.Type || res.ID != s.id {
		return nil, false, fmt.Errorf("handle %s (id 0x%02X): %w", res, res.ID, errUnexpected)
	}
	ev, err := s.frame.Receive(res.Data)
	s.lastID = s.id
	s.id++
	if s.failed != nil {
		return nil, false, s.failed
	}
	switch {
	case err != nil:
		return nil, false, err
	case ev == tlsframe.More:
		return s.packet(s.frame.Ack()), false, nil
	case ev == tlsframe.Ack && s.frame.Pending():
		return s.packet(s.frame.Next()), false, nil
	case ev == tlsframe.Ack && s.finished:
		return nil, true, nil
	case ev == tlsframe.Ack && s.tunnel:
		return s.exchange(nil, nil)
	case ev == tlsframe.Ack, ev == tlsframe.Start:
		return nil, false, errUnexpected
	}
	out, stepErr := s.tls.Step(s.frame.Message())
	if stepErr != nil {
		stepErr = fmt.Errorf("TLS: %w", stepErr)
		if len(out) == 0 {
			return nil, false, stepErr
		}
		s.failed = stepErr // the alert first, then the Failure
		return s.send(out)
	}
	if !s.tls.Complete() {
		return s.send(out)
	}
	app := s.tls.App()
	if !s.tunnel {
		if greeted, err := s.enter(&out); err != nil {
			return nil, false, err
		} else if greeted || len(app) == 0 && len(out) > 0 {
			return s.send(out) // the client has to see the end of the handshake
		}
	}
	return s.exchange(out, app)
}

// enter is called once as the handshake completes.
func (s *Server) enter(out *[]byte) (greeted bool, err error) {
	if s.keys, err = s.tls.Keys(uint8(s.kind.Type), s.kind.Label); err != nil {
		return false, err
	}
	s.tunnel = true
	st, err := s.tls.State()
	if err != nil {
		return false, err
	}
	answer, err := s.in.Greet(st)
	if err != nil || len(answer) == 0 {
		return false, err
	}
	rec, err := s.tls.Write(answer)
	*out = append(*out, rec...)
	return true, err
}

// exchange hands app to the method; out goes ahead of its answer.
func (s *Server) exchange(out, app []byte) ([]byte, bool, error) {
	answer, done, err := s.in.Receive(s.id, app)
	if err != nil {
		return nil, false, err
	}
	if len(answer) > 0 {
		rec, err := s.tls.Write(answer)
		if err != nil {
			return nil, false, err
		}
		out = append(out, rec...)
	}
	if done && len(out) == 0 {
		return nil, true, nil
	}
	s.finished = done
	return s.send(out)
}

func (s *Server) send(out []byte) ([]byte, bool, error) {
	if err := s.frame.Send(out); err != nil {
		return nil, false, err
	}
	return s.packet(s.frame.Next()), false, nil
}

func (s *Server) packet(data []byte) []byte {
	b, _ := eap.Packet{Code: eap.CodeRequest, ID: s.id, Type: s.kind.Type, Data: data}.AppendBinary(nil)
	return b
}

// result makes Success or Failure, whose identifier is the last response's.
func (s *Server) result(c eap.Code) []byte {
	b, _ := eap.Packet{Code: c, ID: s.lastID}.AppendBinary(nil)
	return b
}

// Tunnel reports whether the handshake is complete.
func (s *Server) Tunnel() bool { return s.tunnel }

// MSK returns the Master Session Key, nil before the handshake is complete; it is
// zeroed on Close.
func (s *Server) MSK() []byte { return s.keys.MSK }

// Close ends TLS and zeroes keys.
func (s *Server) Close() {
	s.tls.Close()
	s.keys.Zero()
}
