package tnccs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// Limits of a session.
const (
	MaxReasons     = 64      // reason strings kept of a handshake
	MaxRemediation = 64      // remediation instructions kept of a handshake
	MaxBatches     = 1 << 17 // batches received before the session gives up
	minBatch       = 128     // octets a transport must carry at least
	overhead       = pb.HeaderSize + pb.MessageOverhead + pb.PAOverhead
	tlsBatch       = pb.DefaultMaxBatchTLS
	eapBatch       = pb.DefaultMaxBatchEAP
	maxTextKept    = 16 << 10 // octets of one reason or remediation text
	maxItemsKept   = 1024     // messages whose room a session keeps between batches
)

// Errors of a session.
var (
	ErrNotOpen = errors.New("TNC session has not begun")
	ErrEnded   = errors.New("TNC session has ended")
)

// Session is one connection to a TNC server. Its methods are called by one
// goroutine at a time; IMCs may call the client at any time.
type Session struct {
	c  *Client
	id uint32

	protocol, version string // of the transport
	maxBatch, maxMsg  int
	imcs              []*collector // in use when the session was opened
	xml               *xmlState    // nil: PB-TNC; written under mu
	mutual            mutual
	keepOpen          bool
	tlsUnique         []byte // channel binding of the transport, or nil
	opened            bool
	closed            bool
	failed            error     // why the session cannot be opened, or nil
	items             []pb.Item // of the batch being handled; reused for the next
	sent              []byte    // the last batch, which a PB-Error points into

	mu     sync.Mutex // guards the fields below against the calls of IMCs
	window bool       // SendMessage is allowed
	retry  bool       // an IMC asked for a handshake retry
	wanted chan struct{}
	queue  []pb.Message
	queued int // octets of PA-TNC messages in queue
	out    Outcome
}

// ID returns the connection ID.
func (s *Session) ID() uint32 { return s.id }

// Open prepares the session for a transport whose server speaks first. maxBatch
// is the largest batch that the transport carries, in octets; 0 means the default
// of the transport. protocol is TransportEAP or TransportTLS, version "1.1" or
// "2.0".
func (s *Session) Open(maxBatch int, protocol, version string) error {
	if s.failed != nil {
		return s.failed
	}
	if s.opened || s.closed {
		return fmt.Errorf("open TNC session %d: it has been opened before", s.id)
	}
	limit := eapBatch
	if protocol == TransportTLS {
		limit = tlsBatch
	}
	if maxBatch <= 0 || maxBatch > limit {
		maxBatch = limit
	}
	if n := s.c.cfg.MaxBatchSize; n > 0 && n < maxBatch {
		maxBatch = n
	}
	if maxBatch < minBatch {
		return fmt.Errorf("open TNC session %d: batches of %d octets are too small, %d are needed", s.id, maxBatch, minBatch)
	}
	maxMsg := maxBatch - overhead
	if n := s.c.cfg.MaxMessageSize; n > 0 && n < maxMsg {
		maxMsg = n
	}
	imcs, errs := s.c.restartLost()
	s.mu.Lock()
	s.opened = true
	s.imcs = imcs
	s.protocol, s.version, s.maxBatch, s.maxMsg = protocol, version, maxBatch, maxMsg
	s.out.IMCErrors = append(s.out.IMCErrors, errs...)
	s.mu.Unlock()
	if s.c.cfg.Protocol == ProtocolXML && protocol == TransportEAP {
		s.speakXML()
	}
	s.notify(ConnectionCreate)
	return nil
}

// carriesXML reports whether the transport carries TNCCS-XML where nothing says
// which: EAP-TNC does, PT-EAP and PT-TLS are defined for PB-TNC only (RFC 7171
// section 3.1, RFC 6876 section 3). strongSwan lets its setting count in PT-EAP too.
func carriesXML(protocol, version string) bool {
	return protocol == TransportEAP && version != "2.0"
}

// SetTLSUnique gives the session the tls-unique channel binding (RFC 5929) of the
// TLS connection that carries it, which IMCs may ask for. Call it before Open.
func (s *Session) SetTLSUnique(v []byte) { s.tlsUnique = bytes.Clone(v) }

// End ends the session from this side, in any state, and returns the last batch
// to send: CLOSE over PB-TNC, nil over TNCCS-XML and where the session has ended.
func (s *Session) End() []byte {
	if s.failed != nil || !s.opened || s.closed || s.state() == pb.End {
		return nil
	}
	s.clearQueue()
	if s.xml != nil {
		s.setState(pb.End)
		return nil
	}
	return s.send(pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch), pb.CLOSE, pb.End)
}

// Begin returns the first batch of a session on a transport whose client speaks
// first. It calls Open with its arguments unless Open has been called.
func (s *Session) Begin(maxBatch int, protocol, version string) ([]byte, error) {
	if !s.opened || s.closed {
		if err := s.Open(maxBatch, protocol, version); err != nil {
			return nil, err
		}
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if st := s.state(); st != pb.Init {
		return nil, fmt.Errorf("begin TNC session %d: it is in state '%s'", s.id, st)
	}
	log.Detailf(s.c.tnc, "TNC client is handling outbound connection")
	s.queueOpening()
	if s.xml != nil {
		return s.buildXML()
	}
	return s.build()
}

// queueOpening queues the messages of the first batch: those of the client, then
// those of the IMCs.
func (s *Session) queueOpening() {
	s.proposeMutual()
	s.queueLanguage()
	if s.c.cfg.Tests.NoSkip && s.xml == nil {
		s.mu.Lock()
		s.queue = append(s.queue, pb.Raw{Flags: 0x80, Kind: pb.TypeNoskipTest, Value: make([]byte, 4)})
		s.mu.Unlock()
	}
	s.handshake()
}

// queueLanguage queues the language preference.
func (s *Session) queueLanguage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, pb.LanguagePreference{Languages: s.c.cfg.PreferredLanguage})
}

// state returns the state of the session.
func (s *Session) state() pb.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.State
}

// setState changes the state of the session and logs the change.
func (s *Session) setState(to pb.State) {
	s.mu.Lock()
	from := s.out.State
	s.out.State = to
	s.mu.Unlock()
	if from != to {
		log.Infof(s.c.tnc, "PB-TNC state transition from '%s' to '%s'", from, to)
	}
}

// Done reports whether the session has ended: CLOSE was sent or received.
func (s *Session) Done() bool { return s.state() == pb.End }

// Outcome returns a snapshot of the results of the session.
func (s *Session) Outcome() Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.out
	o.ConnectionID, o.Protocol = s.id, ProtocolPB
	if s.xml != nil {
		o.Protocol = ProtocolXML
	}
	o.AllReasons = slices.Clone(o.Reasons)
	o.Reasons = preferred(s.c.cfg.PreferredLanguage, o.Reasons, func(r Reason) string { return r.Language })
	o.Remediation = preferred(s.c.cfg.PreferredLanguage, o.Remediation, func(r Remediation) string { return r.Language })
	o.IMCErrors = append([]error(nil), o.IMCErrors...)
	if o.Err == nil {
		o.Err = s.failed
	}
	return o
}

// Close notifies the IMCs that the connection is deleted, and frees the session.
// It may be called more than once; its error is always nil.
func (s *Session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.opened {
		s.notify(ConnectionDelete)
	}
	s.mutual.close()
	s.clearQueue()
	s.c.mu.Lock()
	delete(s.c.sessions, s.id)
	s.c.mu.Unlock()
	if s.failed == nil {
		log.Infof(s.c.tnc, "removed TNCCS Connection ID %d", s.id)
	}
	return nil
}
