package tnccs

import (
	"github.com/gotnc/gotnc/tnccs/pb"
)

// KeepOpen lets the session stay in state Decided after the server's RESULT,
// instead of closing it, so that either end can ask for a new handshake: for
// full-duplex transports. Wanted then says when Poll has something to send, and
// End ends the session.
func (s *Session) KeepOpen() { s.keepOpen = true }

// Resting reports whether the session is kept open in state Decided: it waits
// for either end to ask for a new handshake.
func (s *Session) Resting() bool { return s.keepOpen && s.state() == pb.Decided }

// Wanted receives when an IMC has asked for a handshake retry.
func (s *Session) Wanted() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil {
		s.wanted = make(chan struct{}, 1)
	}
	return s.wanted
}

// Poll returns the batch that an IMC's request for a handshake retry leads to,
// nil where there is none to send. A request in another state than Decided is
// dropped, as strongSwan does.
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

// forgetResult drops the result of the handshake before. The mutex is held.
func (s *Session) forgetResult() {
	s.out.Recommendation, s.out.Assessment = RecommendNone, AssessmentNone
	s.out.Reasons, s.out.Remediation = nil, nil
}
