package tnccs

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// Server is the other half of a connection with mutual measurement
// (strongSwan's PB-Mutual-Capability, half-duplex): a Posture Broker Server that
// measures the peer. It is a machine; one goroutine at a time calls it.
type Server interface {
	// Open returns the first batch: SDATA in state Init.
	Open() ([]byte, error)
	// Receive handles one batch of the peer's client and returns the answer; an
	// empty one where the peer closed the connection.
	Receive(batch []byte) ([]byte, error)
	// State returns the state of the server half.
	State() pb.State
	// Allowed reports whether the peer's measurement was accepted.
	Allowed() bool
	// Close ends the connection.
	Close()
}

// Errors about the peer of a connection that this side measures too.
var (
	ErrPeerRefused    = errors.New("this side's verifier does not accept the gateway")
	ErrPeerUnmeasured = errors.New("the gateway wants to go on without having been measured by this side")
)

// mutual is the state of mutual measurement. As in strongSwan, the client of the
// transport decides whose turn it is: after each batch it switches between its
// client half and its server half, until one of them has finished.
type mutual struct {
	proposed bool
	on       bool   // both sides agreed
	server   Server // nil until its first turn
	pending  []byte // batch that the server half sends at its next turn
}

// close ends the server half.
func (m *mutual) close() {
	if m.server != nil {
		m.server.Close()
	}
}

// PeerVerdict returns why this side must not accept a success of the server:
// ErrPeerRefused or ErrPeerUnmeasured. It returns nil where this side's verifier
// accepts the peer, and where the peer did not agree to be measured and
// Config.MutualRequired is not set.
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

// requireMutual returns an error where the server has decided without agreeing
// to be measured, and Config.MutualRequired is set. Nothing is sent then.
func (s *Session) requireMutual() error {
	if s.mutual.on || !s.c.cfg.MutualRequired {
		return nil
	}
	s.fail(ErrPeerUnmeasured)
	return ErrPeerUnmeasured
}

// proposeMutual queues the offer of mutual measurement where it is configured
// and the transport carries half-duplex PB-TNC.
func (s *Session) proposeMutual() {
	if s.c.cfg.Mutual == nil || s.xml != nil || s.protocol != TransportEAP && !s.halfDuplexTLS() {
		return
	}
	s.c.tnc.Info("proposing PB-TNC mutual half duplex protocol")
	s.mutual.proposed = true
	s.mu.Lock()
	s.queue = append(s.queue, pb.MutualCapability{Protocols: pb.MutualHalfDuplex})
	s.mu.Unlock()
}

// halfDuplexTLS reports whether the transport is PT-TLS and the batches alternate
// as over EAP, which strongSwan does in mutual measurement.
func (s *Session) halfDuplexTLS() bool { return s.protocol == TransportTLS && !s.keepOpen }

// acceptMutual handles the server's answer to the offer of mutual measurement.
func (s *Session) acceptMutual(m pb.MutualCapability) {
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

// receivePeer passes a batch of the peer's client to the server half.
func (s *Session) receivePeer(batch []byte) ([]byte, error) {
	if s.mutual.server == nil {
		return s.reject(&pb.ProtocolError{Code: pb.CodeUnexpectedBatchType, Err: errors.New("batch for a TNC server that has not begun")})
	}
	reply, err := s.mutual.server.Receive(batch)
	if err != nil && s.mutual.server.State() != pb.End {
		return s.reject(&pb.ProtocolError{Code: pb.CodeLocalError, Err: fmt.Errorf("measure the peer: %w", err)})
	}
	if err != nil {
		log.Warnf(s.c.tnc, "measure the peer: %v", err)
	}
	s.mutual.pending = reply
	s.recordPeerAllowed()
	return s.buildTurn(false)
}

// recordPeerAllowed copies the decision of the server half to the outcome.
func (s *Session) recordPeerAllowed() {
	allowed := s.mutual.server.Allowed()
	s.mu.Lock()
	s.out.PeerAllowed = allowed
	s.mu.Unlock()
}

// buildTurn returns the next batch after one that the client half (byClient) or
// the server half has handled: that of the other half, unless it has finished.
func (s *Session) buildTurn(byClient bool) ([]byte, error) {
	client, server := s.state(), pb.Init
	if s.mutual.server != nil {
		server = s.mutual.server.State()
	}
	over := client == pb.Decided && server == pb.End
	if over && !s.mutual.server.Allowed() {
		s.fail(ErrPeerRefused)
		return nil, ErrPeerRefused
	}
	ofClient := byClient
	switch {
	case byClient && server != pb.End, !byClient && client != pb.Decided:
		ofClient = !byClient
	case over:
		ofClient = true // the final CLOSE
	}
	if ofClient {
		return s.build()
	}
	return s.buildServerTurn()
}

// buildServerTurn returns the batch of the server half, which it opens at its
// first turn.
func (s *Session) buildServerTurn() ([]byte, error) {
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
	s.recordPeerAllowed()
	s.mu.Lock()
	s.out.BatchesSent++
	s.out.BytesSent += int64(len(out))
	s.mu.Unlock()
	return out, nil
}
