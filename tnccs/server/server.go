// Package pbserver is the Posture Broker Server of the reference gateway: the
// server's half of PB-TNC (RFC 5793) over a half-duplex transport, for one
// connection. It is a machine: batches in, batches out.
package server

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// IMV is the Integrity Measurement Verifier behind the server.
type IMV interface {
	// Begin starts an assessment, also after a handshake retry.
	Begin()
	// Receive takes one PB-PA message. Its body belongs to the IMV.
	Receive(m pb.PA)
	// BatchEnding returns what to send after all messages of a batch.
	BatchEnding() []pb.PA
	// Result returns what the IMV recommends, once it has decided.
	Result() (Result, bool)
}

// Result is the outcome of an assessment.
type Result struct {
	Assessment pb.Assessment
	Access     pb.Access
	Reasons    []pb.ReasonString
	URI        string // remediation, empty where there is none
}

// Config describes a Server.
type Config struct {
	MaxBatch  int // octets; 0 means pb.DefaultMaxBatchEAP
	MaxRounds int // batches accepted from the client; 0 means 10000
	// Rewrite replaces the nth batch sent, from 0; nil leaves all.
	Rewrite func(n int, batch []byte) []byte
	// Undecided holds RESULT back for ever.
	Undecided bool
	Logger    *slog.Logger
}

// Server is one PB-TNC connection. It belongs to one goroutine.
type Server struct {
	cfg      Config
	imv      IMV
	log      *slog.Logger
	state    pb.State
	queue    []pb.Message
	result   *Result
	received int
	sent     int
	failure  error
	language string
}

var errEnded = errors.New("PB-TNC connection has ended")

// New returns a server in state Init.
func New(cfg Config, imv IMV) *Server {
	if cfg.MaxBatch == 0 {
		cfg.MaxBatch = pb.DefaultMaxBatchEAP
	}
	if cfg.MaxRounds == 0 {
		cfg.MaxRounds = 10000
	}
	return &Server{cfg: cfg, imv: imv, log: log.Group(cfg.Logger, log.TNC)}
}

// Done reports whether nothing more has to come from the client: the verifier
// has decided, or the connection has ended.
func (s *Server) Done() bool { return s.state == pb.Decided || s.state == pb.End }

// Allowed reports whether the client may in: fully or into quarantine.
func (s *Server) Allowed() bool {
	return s.failure == nil && s.Done() && s.result != nil && s.result.Access != pb.AccessDenied
}

// Isolated reports whether the client belongs into quarantine.
func (s *Server) Isolated() bool { return s.result != nil && s.result.Access == pb.Quarantined }

// Failure returns why the connection failed, or nil.
func (s *Server) Failure() error { return s.failure }

// Batches returns how many batches went in both directions.
func (s *Server) Batches() int { return s.received + s.sent }

// Language returns the client's Accept-Language value.
func (s *Server) Language() string { return s.language }

// Close ends the connection.
func (s *Server) Close() {
	s.to(pb.End)
	s.queue = nil
}

// Receive takes the client's batch and returns the answer. No answer and no
// error: the client closed the connection. A protocol error of the client is
// answered with a CLOSE batch, not returned.
func (s *Server) Receive(batch []byte) ([]byte, error) {
	if s.state == pb.End {
		return nil, errEnded
	}
	s.received++
	log.Infof(s.log, "received TNCCS batch (%d bytes)", len(batch))
	if s.received > s.cfg.MaxRounds {
		return nil, fmt.Errorf("receive PB-TNC batch: more than %d of them", s.cfg.MaxRounds)
	}
	h, err := pb.ParseHeader(batch, pb.Server)
	if err != nil {
		return s.refuse(err)
	}
	next, verdict := s.state.Next(pb.Client, h.Type)
	if verdict != pb.Accept {
		return s.refuse(&pb.ProtocolError{Code: pb.CodeUnexpectedBatchType,
			Err: fmt.Errorf("%s batch in state '%s'", h.Type, s.state)})
	}
	messages, err := pb.ParseMessages(h, batch)
	if err != nil {
		return s.refuse(err)
	}
	log.Infof(s.log, "processing PB-TNC %s batch", h.Type)
	begin := s.state == pb.Init || h.Type == pb.CRETRY
	s.to(next)
	if h.Type == pb.CLOSE {
		return nil, s.closed(messages)
	}
	if begin {
		s.result, s.queue = nil, nil
		s.imv.Begin()
	}
	for _, m := range messages {
		switch m := m.(type) {
		case pb.PA:
			s.log.Info("handling PB-PA message type " + ifimc.MessageName(m.Vendor, m.Subtype))
			s.imv.Receive(m)
		case pb.LanguagePreference:
			s.language = m.Languages
			log.Infof(s.log, "setting language preference to '%s'", m.Languages)
		case pb.Error:
			s.log.Info((&pb.PeerError{Received: m}).Error())
			if m.Fatal {
				s.fail(&pb.PeerError{Received: m})
				return s.build(pb.CLOSE, nil)
			}
		}
	}
	for _, m := range s.imv.BatchEnding() {
		s.log.Info("creating PB-PA message type " + ifimc.MessageName(m.Vendor, m.Subtype))
		s.queue = append(s.queue, m)
	}
	if r, ok := s.imv.Result(); ok && !s.cfg.Undecided {
		s.result = &r
		return s.decide(r)
	}
	return s.build(pb.SDATA, s.queue)
}

// decide builds RESULT. What the IMV queued goes ahead of it, over SDATA where
// it does not fit.
func (s *Server) decide(r Result) ([]byte, error) {
	messages := append([]pb.Message(nil), s.queue...)
	messages = append(messages, pb.AssessmentResult{Result: r.Assessment}, pb.AccessRecommendation{Code: r.Access})
	for _, t := range r.Reasons {
		messages = append(messages, t)
	}
	if r.URI != "" {
		messages = append(messages, pb.RemediationParameters{Type: pb.RemediationURI, URI: r.URI})
	}
	b := pb.NewBuilder(pb.RESULT, pb.Server, s.cfg.MaxBatch)
	for _, m := range messages {
		if ok, err := b.Add(m); err != nil {
			return nil, err
		} else if !ok && len(s.queue) > 0 {
			return s.build(pb.SDATA, s.queue)
		}
	}
	return s.build(pb.RESULT, messages)
}

// build sends what fits of messages; the rest stays queued.
func (s *Server) build(t pb.BatchType, messages []pb.Message) ([]byte, error) {
	log.Infof(s.log, "creating PB-TNC %s batch", t)
	b := pb.NewBuilder(t, pb.Server, s.cfg.MaxBatch)
	s.queue = nil
	for i, m := range messages {
		ok, err := b.Add(m)
		if err != nil {
			return nil, err
		}
		if !ok {
			if i == 0 {
				return nil, fmt.Errorf("%s message is larger than a batch of %d octets", m.MessageType(), s.cfg.MaxBatch)
			}
			if t == pb.SDATA {
				s.queue = append(s.queue, messages[i:]...)
			}
			break
		}
		s.log.Info("adding " + m.MessageType().String() + " message")
	}
	next, _ := s.state.Next(pb.Server, t)
	s.to(next)
	out := b.Bytes()
	if s.cfg.Rewrite != nil {
		out = s.cfg.Rewrite(s.sent, out)
	}
	s.sent++
	log.Infof(s.log, "sending PB-TNC %s batch (%d bytes)", t, len(out))
	return out, nil
}

// refuse answers a protocol error of the client.
func (s *Server) refuse(err error) ([]byte, error) {
	s.fail(err)
	var pe *pb.ProtocolError
	if !errors.As(err, &pe) {
		return nil, err
	}
	return s.build(pb.CLOSE, []pb.Message{pe.Message()})
}

func (s *Server) fail(err error) {
	s.log.Info(err.Error())
	s.failure = err
}

// closed handles the client's CLOSE: an empty one is the normal end.
func (s *Server) closed(messages []pb.Message) error {
	for _, m := range messages {
		if e, ok := m.(pb.Error); ok {
			s.fail(&pb.PeerError{Received: e})
		}
	}
	switch {
	case s.failure != nil:
		return s.failure
	case len(messages) > 0:
		s.fail(errors.New("CLOSE batch with messages"))
	case s.result == nil:
		s.fail(errors.New("the client closed the connection before a recommendation was made"))
	}
	return s.failure
}

func (s *Server) to(next pb.State) {
	if next != s.state {
		log.Infof(s.log, "PB-TNC state transition from '%s' to '%s'", s.state, next)
		s.state = next
	}
}
