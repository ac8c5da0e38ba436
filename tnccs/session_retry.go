package tnccs

import (
	"github.com/gotnc/gotnc/tnccs/pb"
)

// KeepOpen makes the session stay in state Decided after the server's RESULT
// instead of closing it, so that either end can ask for a new handshake. It is
// for full-duplex transports. Wanted then signals that Poll has a batch to send,
// and End ends the session.
func (s *Session) KeepOpen() { s.keepOpen = true }

// Resting reports whether the session is kept open in state Decided, waiting for
// either end to ask for a new handshake.
func (s *Session) Resting() bool { return s.keepOpen && s.state() == pb.Decided }

// Wanted returns a channel that receives a value when an IMC has asked for a
// handshake retry. A retry that the session makes takes the value back.
func (s *Session) Wanted() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil {
		s.wanted = make(chan struct{}, 1)
	}
	return s.wanted
}

// Poll returns the CRETRY batch for an IMC's request for a handshake retry, nil
// where there is no request. As in strongSwan, a request in another state than
// Decided is dropped.
func (s *Session) Poll() ([]byte, error) {
	if s.failed != nil || !s.opened || s.closed {
		return nil, s.failed
	}
	s.mu.Lock()
	ask := s.retry && s.out.State == pb.Decided
	s.retry = s.retry && ask
	s.mu.Unlock()
	if !ask || s.xml != nil {
		return nil, nil
	}
	return s.build()
}

// requestRetry records an IMC's request for a handshake retry.
func (s *Session) requestRetry() {
	s.mu.Lock()
	s.retry = true
	if s.wanted == nil {
		s.wanted = make(chan struct{}, 1)
	}
	select {
	case s.wanted <- struct{}{}:
	default:
	}
	s.mu.Unlock()
}

// clearResult drops the result of the last handshake. The mutex is held.
func (s *Session) clearResult() {
	s.out.Recommendation, s.out.Assessment = RecommendNone, AssessmentNone
	s.out.Reasons, s.out.Remediation = nil, nil
}
