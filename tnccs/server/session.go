package server

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// DefaultMaxRounds is the default of Config.MaxRounds.
const DefaultMaxRounds = 10000

// ErrEnded is returned by calls for a session that has ended, or that is not in
// the state that they need.
var ErrEnded = errors.New("PB-TNC connection has ended")

// IMV is the Integrity Measurement Verifier of a session.
type IMV interface {
	// Begin starts an assessment, also after a handshake retry.
	Begin()
	// Receive handles one PB-PA message, whose body belongs to the IMV.
	Receive(m pb.PA)
	// BatchEnding returns the messages to send, after all messages of a batch.
	BatchEnding() []pb.PA
	// Result returns the recommendation; ok is false while there is none.
	Result() (r Result, ok bool)
}

// Result is the outcome of an assessment.
type Result struct {
	Assessment pb.Assessment
	Access     pb.Access
	Reasons    []pb.ReasonString
	URI        string // of remediation instructions; empty for none
}

// NewResult returns the Result of what an IMV decided; reason is a sentence in the
// language of that RFC 5646 tag, "" for none.
func NewResult(assessment pb.Assessment, access pb.Access, reason, language, uri string) Result {
	r := Result{Assessment: assessment, Access: access, URI: uri}
	if reason != "" {
		r.Reasons = []pb.ReasonString{{Text: reason, Language: language}}
	}
	return r
}

// Config configures a Session. The zero value is usable.
type Config struct {
	MaxBatch  int          // largest batch sent, in octets; 0 means pb.DefaultMaxBatchEAP
	MaxRounds int          // batches accepted from the client; 0 means DefaultMaxRounds
	Logger    *slog.Logger // nil discards
}

// Session is the TNC server's half of one PB-TNC connection. It belongs to one
// goroutine.
type Session struct {
	cfg      Config
	imv      IMV
	log      *slog.Logger
	state    pb.State
	queue    []pb.Message // messages that did not fit the last batch
	result   *Result      // nil while the IMV has not decided
	received int          // batches
	sent     int          // batches
	failure  error
	language string
}

// New returns a session in state Init whose verifier is imv.
func New(cfg Config, imv IMV) *Session {
	if cfg.MaxBatch == 0 {
		cfg.MaxBatch = pb.DefaultMaxBatchEAP
	}
	if cfg.MaxRounds == 0 {
		cfg.MaxRounds = DefaultMaxRounds
	}
	return &Session{cfg: cfg, imv: imv, log: log.Group(cfg.Logger, log.TNC)}
}

// State returns the state of the connection.
func (s *Session) State() pb.State { return s.state }

// Done reports whether the server expects nothing more of the client: the IMV
// has decided, or the connection has ended.
func (s *Session) Done() bool { return s.state == pb.Decided || s.state == pb.End }

// Allowed reports whether the client may have access, full or in quarantine.
func (s *Session) Allowed() bool {
	return s.failure == nil && s.Done() && s.result != nil && s.result.Access != pb.AccessDenied
}

// Isolated reports whether the client may have access in quarantine only.
func (s *Session) Isolated() bool { return s.result != nil && s.result.Access == pb.Quarantined }

// Failure returns why the connection failed, or nil.
func (s *Session) Failure() error { return s.failure }

// Batches returns the number of batches sent and received.
func (s *Session) Batches() int { return s.received + s.sent }

// Language returns the client's Accept-Language value.
func (s *Session) Language() string { return s.language }

// Close ends the connection.
func (s *Session) Close() {
	s.setState(pb.End)
	s.queue = nil
}

// Receive handles a batch of the client and returns the answer. An empty answer
// without an error means that the client closed the connection. A protocol error
// of the client is answered with a CLOSE batch, not returned.
func (s *Session) Receive(batch []byte) ([]byte, error) {
	if s.state == pb.End {
		return nil, ErrEnded
	}
	s.received++
	log.Infof(s.log, "received TNCCS batch (%d bytes)", len(batch))
	if s.received > s.cfg.MaxRounds {
		return nil, fmt.Errorf("receive PB-TNC batch: more than %d of them", s.cfg.MaxRounds)
	}
	h, messages, err := s.parse(batch)
	if err != nil {
		return s.refuse(err)
	}
	log.Infof(s.log, "processing PB-TNC %s batch", h.Type)
	begin := s.state == pb.Init || h.Type == pb.CRETRY
	next, _ := s.state.Next(pb.Client, h.Type)
	s.setState(next)
	if h.Type == pb.CLOSE {
		return nil, s.receiveClose(messages)
	}
	if begin {
		s.begin()
	}
	for _, m := range messages {
		if err := s.handle(m); err != nil {
			s.fail(err)
			return s.build(pb.CLOSE, nil)
		}
	}
	for _, m := range s.imv.BatchEnding() {
		log.Infof(s.log, "creating PB-PA message type %s", ifimc.MessageName(m.Vendor, m.Subtype))
		s.queue = append(s.queue, m)
	}
	if r, ok := s.imv.Result(); ok {
		s.result = &r
		return s.decide(r)
	}
	return s.build(pb.SDATA, s.queue)
}

// parse decodes a batch of the client and checks it against the state.
func (s *Session) parse(batch []byte) (pb.Header, []pb.Message, error) {
	h, err := pb.ParseHeader(batch, pb.Server)
	if err != nil {
		return h, nil, err
	}
	if _, verdict := s.state.Next(pb.Client, h.Type); verdict != pb.Accept {
		return h, nil, &pb.ProtocolError{Code: pb.CodeUnexpectedBatchType,
			Err: fmt.Errorf("%s batch in state '%s'", h.Type, s.state)}
	}
	messages, err := pb.ParseMessages(h, batch)
	return h, messages, err
}

// begin starts an assessment.
func (s *Session) begin() {
	s.result, s.queue = nil, nil
	s.imv.Begin()
}

// handle acts on one message. An error is a fatal one that the client reports.
func (s *Session) handle(m pb.Message) error {
	switch m := m.(type) {
	case pb.PA:
		log.Infof(s.log, "handling PB-PA message type %s", ifimc.MessageName(m.Vendor, m.Subtype))
		s.imv.Receive(m)
	case pb.LanguagePreference:
		s.language = m.Languages
		log.Infof(s.log, "setting language preference to '%s'", m.Languages)
	case pb.Error:
		err := &pb.PeerError{Received: m}
		log.Infof(s.log, "%v", err)
		if m.Fatal {
			return err
		}
	}
	return nil
}

// decide builds RESULT. The messages of the IMV go ahead of the result, in SDATA
// batches where they do not all fit.
func (s *Session) decide(r Result) ([]byte, error) {
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

// build returns a batch of the messages that fit; the others are queued.
func (s *Session) build(t pb.BatchType, messages []pb.Message) ([]byte, error) {
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
		log.Infof(s.log, "adding %s message", m.MessageType())
	}
	next, _ := s.state.Next(pb.Server, t)
	s.setState(next)
	out := b.Bytes()
	s.sent++
	log.Infof(s.log, "sending PB-TNC %s batch (%d bytes)", t, len(out))
	return out, nil
}

// refuse answers a protocol error of the client.
func (s *Session) refuse(err error) ([]byte, error) {
	s.fail(err)
	var pe *pb.ProtocolError
	if !errors.As(err, &pe) {
		return nil, err
	}
	return s.build(pb.CLOSE, []pb.Message{pe.Message()})
}

// fail records why the connection failed.
func (s *Session) fail(err error) {
	log.Infof(s.log, "%v", err)
	s.failure = err
}

// receiveClose handles the CLOSE of the client: an empty one is the regular end.
func (s *Session) receiveClose(messages []pb.Message) error {
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

func (s *Session) setState(next pb.State) {
	if next != s.state {
		log.Infof(s.log, "PB-TNC state transition from '%s' to '%s'", s.state, next)
		s.state = next
	}
}
