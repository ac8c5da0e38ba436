package tnccs

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// Server is the other half of a connection with mutual measurement
// (strongSwan's PB-Mutual-Capability, half-duplex): a Posture Broker Server that
// measures the peer. It is a machine; one goroutine at a time calls it.
type Server interface {
	// Open returns the first batch: SDATA in state Init.
	Open() ([]byte, error)
	// Receive takes one batch of the peer's client and returns the answer; none
	// where the peer closed the connection.
	Receive(batch []byte) ([]byte, error)
	// State is that of the server half.
	State() pb.State
	// Allowed reports whether the peer's measurement was accepted.
	Allowed() bool
	Close()
}

// Errors about the peer of a connection that this side measures too.
var (
	ErrPeerRefused    = errors.New("this side's verifier does not accept the gateway")
	ErrPeerUnmeasured = errors.New("the gateway wants to go on without having been measured by this side")
)

// mutual is the state of mutual measurement. The transport's client side
// decides whose turn it is (strongSwan does so too): after each batch it
// switches between its halves, and away from none that is finished.
type mutual struct {
	proposed bool
	on       bool
	server   Server // nil until its first turn
	pending  []byte // what it sends at its next turn
}

func (m *mutual) close() {
	if m.server != nil {
		m.server.Close()
	}
}

// PeerVerdict returns what speaks against the peer: nil where this side's verifier
// accepts it, or where it need not be measured, because it did not agree to that
// and Config.MutualRequired does not ask for it. A transport must not take a
// success from the server while this is not nil.
func (s *Session) PeerVerdict() error {
	m := &s.mutual
	switch {
	case !m.on && !s.c.cfg.MutualRequired, m.server != nil && m.server.Allowed():
		return nil
	case m.server != nil && (m.server.State() == pb.Decided || m.server.State() == pb.End):
		return ErrPeerRefused
	}
	return ErrPeerUnmeasured
}

// decided checks, once the server has decided, that it lets itself be measured
// where that is required. Nothing is sent where it does not.
func (s *Session) decided() error {
	if s.mutual.on || !s.c.cfg.MutualRequired {
		return nil
	}
	s.fail(ErrPeerUnmeasured)
	return ErrPeerUnmeasured
}

// propose offers mutual measurement where it is configured and the transport
// can do it: half-duplex PB-TNC.
func (s *Session) propose() {
	if s.c.cfg.Mutual == nil || s.xml != nil || s.protocol != TransportEAP && !s.halfDuplexTLS() {
		return
	}
	s.c.tnc.Info("proposing PB-TNC mutual half duplex protocol")
	s.mutual.proposed = true
	s.mu.Lock()
	s.queue = append(s.queue, pb.MutualCapability{Protocols: pb.MutualHalfDuplex})
	s.mu.Unlock()
}

// halfDuplexTLS reports whether PT-TLS may carry mutual measurement: strongSwan
// alternates the batches there as over EAP.
func (s *Session) halfDuplexTLS() bool { return s.protocol == TransportTLS && !s.keepOpen }

// agree takes the server's answer to the proposal.
func (s *Session) agree(m pb.MutualCapability) {
	if !s.mutual.proposed || m.Protocols&pb.MutualHalfDuplex == 0 {
		s.c.tnc.Info("ignoring PB-TNC mutual capability of the server")
		return
	}
	s.c.tnc.Info("activating mutual PB-TNC half duplex protocol")
	s.mutual.on = true
	s.mu.Lock()
	s.out.Mutual = true
	s.mu.Unlock()
}

// receivePeer hands a batch of the peer's client to the server half.
func (s *Session) receivePeer(batch []byte) ([]byte, error) {
	if s.mutual.server == nil {
		return s.reject(&pb.ProtocolError{Code: pb.CodeUnexpectedBatchType, Err: errors.New("batch for a TNC server that has not begun")})
	}
	reply, err := s.mutual.server.Receive(batch)
	if err != nil && s.mutual.server.State() != pb.End {
		return s.reject(&pb.ProtocolError{Code: pb.CodeLocalError, Err: fmt.Errorf("measure the peer: %w", err)})
	}
	if err != nil {
		s.c.tnc.Warn("measure the peer: " + err.Error())
	}
	s.mutual.pending = reply
	s.settlePeer()
	return s.turn(false)
}

func (s *Session) settlePeer() {
	allowed := s.mutual.server.Allowed()
	s.mu.Lock()
	s.out.PeerAllowed = allowed
	s.mu.Unlock()
}

// turn chooses whose batch goes next after one that the client half (toClient)
// or the server half has handled, and builds it.
func (s *Session) turn(toClient bool) ([]byte, error) {
	client, server := s.state(), pb.Init
	if s.mutual.server != nil {
		server = s.mutual.server.State()
	}
	switch {
	case toClient && server != pb.End, !toClient && client != pb.Decided:
		toClient = !toClient
	case client == pb.Decided && server == pb.End:
		toClient = true // the final CLOSE
	}
	if toClient {
		if client == pb.Decided && server == pb.End && !s.mutual.server.Allowed() {
			s.fail(ErrPeerRefused)
			return nil, ErrPeerRefused
		}
		return s.build()
	}
	if s.mutual.server == nil {
		srv, err := s.c.cfg.Mutual(s.id)
		if err == nil {
			s.mutual.server = srv
			s.mutual.pending, err = srv.Open()
		}
		if err != nil {
			return s.reject(&pb.ProtocolError{Code: pb.CodeLocalError, Err: fmt.Errorf("open the TNC server: %w", err)})
		}
	}
	out := s.mutual.pending
	s.mutual.pending = nil
	if len(out) > s.maxBatch {
		return s.reject(&pb.ProtocolError{Code: pb.CodeLocalError, Err: fmt.Errorf("batch of the TNC server has %d octets, %d fit", len(out), s.maxBatch)})
	}
	s.settlePeer()
	s.mu.Lock()
	s.out.BatchesSent++
	s.out.BytesSent += int64(len(out))
	s.mu.Unlock()
	return out, nil
}
