package tnccs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/gotnc/gotnc/internal/log"
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
	imcs              []*collector // that the connection began with
	xml               *xmlState    // nil: PB-TNC; written under mu
	mutual            mutual
	keepOpen          bool
	tlsUnique         []byte // channel binding of the transport, or nil
	opened            bool
	closed            bool
	failed            error
	items             []pb.Item // of the batch under way; kept for the next

	mu     sync.Mutex // guards what follows against the calls of IMCs
	window bool       // SendMessage is allowed
	retry  bool       // a handshake retry was asked for
	wanted chan struct{}
	queue  []pb.Message
	queued int // octets of PA-TNC messages in queue
	out    Outcome
}

// ID returns the connection ID.
func (s *Session) ID() uint32 { return s.id }

// Open prepares the session for a transport whose server speaks first. maxBatch
// is the largest batch that the transport carries, in octets, 0 for the
// transport's default; protocol is TransportEAP or TransportTLS, version "1.1"
// or "2.0".
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
	imcs, errs := s.c.revive()
	s.mu.Lock()
	s.opened = true
	s.imcs = imcs
	s.protocol, s.version, s.maxBatch, s.maxMsg = protocol, version, maxBatch, maxMsg
	s.out.IMCErrors = append(s.out.IMCErrors, errs...)
	s.mu.Unlock()
	if s.c.cfg.Protocol == ProtocolXML && carriesXML(protocol, version) {
		s.speakXML()
	}
	s.notify(StateCreate)
	return nil
}

// carriesXML reports whether the transport carries TNCCS-XML: EAP-TNC does,
// PT-EAP and PT-TLS are defined for PB-TNC only (RFC 7171 §3.1, RFC 6876 §3).
func carriesXML(protocol, version string) bool {
	return protocol == TransportEAP && version != "2.0"
}

// SetTLSUnique gives the session the tls-unique channel binding (RFC 5929) of the
// TLS connection that carries it, which IMCs may ask for. Call it before Open.
func (s *Session) SetTLSUnique(v []byte) { s.tlsUnique = bytes.Clone(v) }

// KeepOpen lets the session stay in state Decided after the server's RESULT,
// instead of closing it, so that either end can ask for a new handshake: for
// full-duplex transports. Wanted then says when Poll has something to send, and
// End ends the session.
func (s *Session) KeepOpen() { s.keepOpen = true }

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
// dropped (IF-IMC 1.3 §3.8.6.5).
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

// End ends the session from this side, in any state, and returns the batch
// that tells the server: CLOSE over PB-TNC, nothing over TNCCS-XML.
func (s *Session) End() []byte {
	if s.failed != nil || !s.opened || s.closed || s.state() == pb.End {
		return nil
	}
	s.clearQueue()
	if s.xml != nil {
		s.move(pb.End)
		return nil
	}
	return s.send(pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch), pb.CLOSE, pb.End)
}

// Begin opens the session and returns its first batch; for the arguments see
// Open, which it calls where that has not been done.
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
	logAt(s.c.tnc, log.LevelDetail, "TNC client is handling outbound connection")
	s.first()
	if s.xml != nil {
		return s.buildXML()
	}
	return s.build()
}

// first prepares the first batch: what the client says of itself, then what the
// IMCs have to say.
func (s *Session) first() {
	s.propose()
	s.language()
	if s.c.cfg.Tests.NoSkip && s.xml == nil {
		s.mu.Lock()
		s.queue = append(s.queue, pb.Raw{Flags: 0x80, Kind: pb.TypeNoskipTest, Value: make([]byte, 4)})
		s.mu.Unlock()
	}
	s.handshake()
}

// language queues the language preference, which leads the first batch.
func (s *Session) language() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, pb.LanguagePreference{Languages: s.c.cfg.PreferredLanguage})
}

// handshake runs the beginning of a handshake in all IMCs.
func (s *Session) handshake() {
	s.notify(StateHandshake)
	s.each(true, func(i IMC) error { return i.BeginHandshake(s.id) })
}

// notify tells all IMCs a state; they may not send meanwhile.
func (s *Session) notify(st ConnectionState) {
	s.each(false, func(i IMC) error { return i.NotifyConnectionChange(s.id, st) })
}

// each calls f for all IMCs in load order, with or without the right to send.
func (s *Session) each(window bool, f func(IMC) error) {
	for _, col := range s.imcs {
		if !col.lost.Load() {
			s.call(col, window, f)
		}
	}
}

// call calls f for one IMC. An IMC whose call fails with anything but a result
// code is lost: the client does not call it again before it is started anew.
func (s *Session) call(col *collector, window bool, f func(IMC) error) {
	s.setWindow(window)
	err := f(col.imc)
	s.setWindow(false)
	if err != nil {
		s.answered(col, err)
	}
}

func (s *Session) answered(col *collector, err error) {
	var r Result
	if errors.As(err, &r) {
		logAt(s.c.imc, log.LevelDetail, fmt.Sprintf("IMC %d %q answered %v", col.id, col.name, error(r)))
		return
	}
	err = fmt.Errorf("IMC %d %q is lost: %w", col.id, col.name, err)
	s.c.imc.Error(err.Error())
	col.lost.Store(true)
	s.mu.Lock()
	s.out.IMCErrors = append(s.out.IMCErrors, err)
	s.mu.Unlock()
}

func (s *Session) setWindow(open bool) {
	s.mu.Lock()
	s.window = open
	s.mu.Unlock()
}

func (s *Session) state() pb.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.State
}

// move goes to a state.
func (s *Session) move(to pb.State) {
	s.mu.Lock()
	from := s.out.State
	s.out.State = to
	s.mu.Unlock()
	if from != to {
		s.c.tnc.Info(fmt.Sprintf("PB-TNC state transition from '%s' to '%s'", from, to))
	}
}

// enqueue takes a message of an IMC.
func (s *Session) enqueue(col *collector, m pb.PA) Result {
	if col == nil {
		return ResultInvalidParameter
	}
	s.mu.Lock()
	if s.xml != nil && m.Subtype > SubtypeAny {
		s.mu.Unlock()
		s.c.tnc.Warn(fmt.Sprintf("IMC %d: message type 0x%06x/0x%08x does not fit IF-TNCCS 1.1", m.Collector, m.Vendor, m.Subtype))
		return ResultNoLongMessageTypes
	}
	window, maxMsg := s.window, s.maxMsg
	full := len(s.queue) >= MaxQueuedMessages || s.queued+len(m.Body) > MaxQueuedBytes
	take := window && !full && len(m.Body) <= maxMsg
	if take {
		m.Body = bytes.Clone(m.Body)
		s.queue = append(s.queue, m)
		s.queued += len(m.Body)
	}
	s.mu.Unlock()
	switch {
	case take:
		s.c.tnc.Info("creating PB-PA message type " + pb.PAName(m.Vendor, m.Subtype))
		if s.c.cfg.Trace != nil {
			s.c.cfg.Trace(Exchange{
				Connection: s.id, Sent: true, IMCs: []string{col.name}, IMC: uint32(m.Collector), IMV: uint32(m.Validator),
				Exclusive: m.Exclusive, Vendor: m.Vendor, Subtype: m.Subtype, Body: bytes.Clone(m.Body),
			})
		}
		return ResultSuccess
	case !window:
		s.c.tnc.Warn(fmt.Sprintf("IMC %d not allowed to call SendMessage()", m.Collector))
		return ResultIllegalOperation
	case len(m.Body) > maxMsg:
		s.c.tnc.Warn(fmt.Sprintf("IMC %d: message of %d bytes exceeds the maximum of %d", m.Collector, len(m.Body), maxMsg))
		return ResultExceededMaxMessageSize
	}
	s.c.tnc.Warn(fmt.Sprintf("IMC %d: too many messages wait for Connection ID %d", m.Collector, s.id))
	return ResultOther
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

func (s *Session) clearQueue() {
	s.mu.Lock()
	s.queue, s.queued = nil, 0
	s.mu.Unlock()
}

// attribute answers GetAttribute for the connection (IF-IMC §3.8.6.7).
func (s *Session) attribute(a uint32) ([]byte, Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened {
		return nil, ResultInvalidParameter
	}
	text := func(t string) ([]byte, Result) { return append([]byte(t), 0), ResultSuccess }
	switch a {
	case AttrTLSUnique:
		if s.tlsUnique != nil {
			return s.tlsUnique, ResultSuccess
		}
	case AttrMaxRoundTrips:
		return u32(0xffffffff), ResultSuccess
	case AttrMaxMessageSize:
		return u32(uint32(s.maxMsg)), ResultSuccess
	case AttrHasLongTypes, AttrHasExclusive:
		if s.xml != nil {
			return []byte{0}, ResultSuccess
		}
		return []byte{1}, ResultSuccess
	case AttrHasSOH:
		return []byte{0}, ResultSuccess
	case AttrIFTNCCSProtocol:
		return text("IF-TNCCS")
	case AttrIFTNCCSVersion:
		if s.xml != nil {
			return text("1.1")
		}
		return text("2.0")
	case AttrIFTProtocol:
		return text(s.protocol)
	case AttrIFTVersion:
		return text(s.version)
	}
	return nil, ResultInvalidParameter
}

// build makes the next batch, nil where there is nothing to send.
func (s *Session) build() ([]byte, error) {
	s.mu.Lock()
	retry := s.retry
	s.retry = false
	st := s.out.State
	s.mu.Unlock()

	t := pb.CDATA
	if retry && st == pb.Decided {
		// The IMCs start over; what they measured before is not asked for any more.
		t = pb.CRETRY
		s.clearQueue()
		s.mu.Lock()
		s.forgetResult()
		s.mu.Unlock()
		s.handshake()
	}
	s.mu.Lock()
	waiting := len(s.queue)
	s.mu.Unlock()
	if waiting == 0 && t == pb.CDATA {
		switch st {
		case pb.Init, pb.ClientWorking:
			s.c.tnc.Info("no client data to send, sending empty PB-TNC CDATA batch")
		case pb.Decided:
			if s.keepOpen {
				return nil, nil
			}
			t = pb.CLOSE
		default:
			s.c.tnc.Info("no PB-TNC batch to send")
			return nil, nil
		}
	}
	next, verdict := st.Next(pb.Client, t)
	if verdict != pb.Accept {
		// After a retry of the server: nothing may be sent before its SDATA, and
		// after RESULT nothing but CLOSE or CRETRY.
		if st == pb.Decided {
			s.clearQueue()
			if s.keepOpen {
				return nil, nil
			}
			return s.send(pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch), pb.CLOSE, pb.End), nil
		}
		s.c.tnc.Info(fmt.Sprintf("canceling PB-TNC %s batch", t))
		return nil, nil
	}
	b := pb.NewBuilder(t, pb.Client, s.maxBatch)
	s.c.tnc.Info(fmt.Sprintf("creating PB-TNC %s batch", t))
	left, err := s.fill(b)
	if err != nil {
		return nil, fmt.Errorf("build PB-TNC %s batch: %w", t, err)
	}
	if left > 0 {
		plural := "s"
		if left == 1 {
			plural = ""
		}
		s.c.tnc.Info(fmt.Sprintf("queued %d PB-TNC message%s for next %s batch", left, plural, pb.CDATA))
	}
	return s.send(b, t, next), nil
}

// fill moves queued messages, in their order, into a batch until one does not
// fit, and returns how many stay.
func (s *Session) fill(b *pb.Builder) (left int, err error) {
	for {
		s.mu.Lock()
		left = len(s.queue)
		if left == 0 {
			s.queue = nil
			s.mu.Unlock()
			return 0, nil
		}
		m := s.queue[0]
		ok, err := b.Add(m)
		stays := err == nil && !ok && b.Count() > 0
		if !stays {
			s.queue[0] = nil
			s.queue = s.queue[1:]
			if pa, isPA := m.(pb.PA); isPA {
				s.queued -= len(pa.Body)
				if ok {
					s.out.MessagesSent++
				}
			}
		}
		s.mu.Unlock()
		switch {
		case err != nil:
			return left, err
		case stays:
			return left, nil
		case !ok: // not even alone: it would stay for ever
			s.c.tnc.Warn(fmt.Sprintf("dropping %s message that fits no batch", m.MessageType()))
		default:
			s.c.tnc.Info(fmt.Sprintf("adding %s message", m.MessageType()))
		}
	}
}

// send accounts for a batch that goes out.
func (s *Session) send(b *pb.Builder, t pb.BatchType, next pb.State) []byte {
	s.move(next)
	if v := s.c.cfg.Tests.Version; v != 0 && t != pb.CLOSE {
		b.SetVersion(v)
	}
	out := b.Bytes()
	s.mu.Lock()
	s.out.BatchesSent++
	s.out.BytesSent += int64(len(out))
	s.mu.Unlock()
	s.c.tnc.Info(fmt.Sprintf("sending PB-TNC %s batch (%d bytes) for Connection ID %d", t, len(out), s.id))
	return out
}

// reject answers a batch that breaks the protocol: CLOSE with a PB-Error.
// Everything queued is dropped.
func (s *Session) reject(pe *pb.ProtocolError) ([]byte, error) {
	s.c.tnc.Error(pe.Error())
	s.fail(pe)
	s.c.tnc.Info(fmt.Sprintf("creating PB-TNC %s batch", pb.CLOSE))
	m := pe.Message()
	b := pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch)
	if _, err := b.Add(m); err != nil {
		return nil, err
	}
	s.c.tnc.Info(fmt.Sprintf("adding %s message", m.MessageType()))
	return s.send(b, pb.CLOSE, pb.End), nil
}

// fail records what ended the session.
func (s *Session) fail(err error) {
	s.clearQueue()
	s.mu.Lock()
	if s.out.Err == nil {
		s.out.Err = err
	}
	s.mu.Unlock()
}

// Receive handles one batch of the server and returns the answer; an empty
// answer means that there is nothing to say.
//
// Where the batch breaks the protocol, or reports a fatal error, the answer is a
// CLOSE batch and the error is nil: the transport still has to carry it. The
// cause then stands in Outcome().Err, and every later call returns it. An empty
// CLOSE of the server ends the session without an error.
func (s *Session) Receive(batch []byte) ([]byte, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	if !s.opened {
		return nil, ErrNotOpen
	}
	if s.closed {
		return nil, ErrEnded
	}
	s.mu.Lock()
	s.out.BatchesReceived++
	s.out.BytesReceived += int64(len(batch))
	n, st, cause := s.out.BatchesReceived, s.out.State, s.out.Err
	s.mu.Unlock()
	if s.c.tnc.Enabled(context.Background(), slog.LevelInfo) {
		s.c.tnc.Info(fmt.Sprintf("received TNCCS batch (%d bytes)", len(batch)))
	}
	if s.c.cfg.Protocol == ProtocolDynamic && st == pb.Init && s.xml == nil && carriesXML(s.protocol, s.version) {
		if p, err := Detect(batch); err == nil && p == ProtocolXML {
			s.speakXML()
		}
	}
	if s.xml != nil {
		return s.receiveXML(batch, n)
	}
	if s.mutual.on && (len(batch) < 2 || batch[1]&0x80 == 0) && st != pb.End {
		return s.receivePeer(batch)
	}
	h, err := pb.ParseHeader(batch, pb.Client)
	if st == pb.End {
		// Whoever has ended answers nothing any more: two ends that report errors
		// about each other's errors would go on for ever.
		if err == nil && h.Type == pb.CLOSE {
			return nil, nil
		}
		if cause == nil {
			cause = ErrEnded
		}
		return nil, cause
	}
	if n > MaxBatches {
		return s.reject(&pb.ProtocolError{Code: pb.CodeLocalError, Err: fmt.Errorf("more than %d batches in a session", MaxBatches)})
	}
	if err != nil {
		if p, derr := Detect(batch); derr == nil && p == ProtocolXML {
			err = &pb.ProtocolError{Code: pb.CodeVersionNotSupported, BadVersion: batch[0],
				Err: fmt.Errorf("the server speaks %s, this side %s: set the same protocol on both", ProtocolXML, ProtocolPB)}
		}
		return s.rejectErr(err)
	}
	if s.c.tnc.Enabled(context.Background(), slog.LevelInfo) {
		s.c.tnc.Info(fmt.Sprintf("processing PB-TNC %s batch for Connection ID %d", h.Type, s.id))
	}
	next, verdict := st.Next(pb.Server, h.Type)
	switch verdict {
	case pb.Illegal:
		return s.reject(&pb.ProtocolError{Code: pb.CodeUnexpectedBatchType, Err: fmt.Errorf("unexpected PB-TNC batch type: %s in state '%s'", h.Type, st)})
	case pb.Ignore:
		s.c.tnc.Info(fmt.Sprintf("ignoring PB-TNC %s batch in state '%s'", h.Type, st))
		return nil, nil
	}
	items, warnings, err := pb.AppendItems(s.items[:0], h, batch)
	s.items = items
	defer s.forgetItems()
	if err != nil {
		if h.Type == pb.CLOSE {
			// The session is over; there is nobody to answer.
			s.fail(err)
			s.move(pb.End)
			return nil, err
		}
		return s.rejectErr(err)
	}
	s.move(next)
	if h.Type == pb.CLOSE {
		return nil, s.receiveClose(items)
	}
	if perr := fatalError(items); perr != nil {
		s.c.tnc.Error(perr.Error())
		s.fail(perr)
		s.c.tnc.Error("a fatal PB-TNC error occurred, terminating connection")
		return s.send(pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch), pb.CLOSE, pb.End), nil
	}
	if h.Type == pb.SDATA && st == pb.Init {
		// The server opened the transport: the handshake begins with its batch.
		s.first()
	}
	if h.Type == pb.SRETRY {
		s.clearQueue()
		s.mu.Lock()
		s.forgetResult()
		s.mu.Unlock()
		s.handshake()
	}
	for _, w := range warnings {
		s.complain(w)
	}
	for i := range items {
		if items[i].Message == nil {
			s.deliver(&items[i].PA)
		} else {
			s.handle(h.Type, items[i].Message)
		}
	}
	s.each(true, func(i IMC) error { return i.BatchEnding(s.id) })
	if s.mutual.on {
		return s.turn(true)
	}
	return s.build()
}

// forgetItems lets the batch go that the items refer to.
func (s *Session) forgetItems() {
	clear(s.items)
	if cap(s.items) > maxItemsKept {
		s.items = nil
	}
}

// complain queues a PB-Error that is not fatal. It goes with the next CDATA
// batch; CLOSE with an error in it would be a failure.
func (s *Session) complain(pe *pb.ProtocolError) {
	s.c.tnc.Warn(pe.Error())
	s.mu.Lock()
	if len(s.queue) < MaxQueuedMessages {
		s.queue = append(s.queue, pe.Message())
	}
	s.mu.Unlock()
}

func (s *Session) rejectErr(err error) ([]byte, error) {
	var pe *pb.ProtocolError
	if !errors.As(err, &pe) {
		pe = &pb.ProtocolError{Code: pb.CodeLocalError, Err: err}
	}
	return s.reject(pe)
}

// fatalError returns the first fatal error that the server reports.
func fatalError(items []pb.Item) *pb.PeerError {
	for i := range items {
		if e, ok := items[i].Message.(pb.Error); ok && e.Fatal {
			return &pb.PeerError{Received: e}
		}
	}
	return nil
}

// receiveClose ends the session on the server's CLOSE: an empty one is the
// regular end, one with messages a failure.
func (s *Session) receiveClose(items []pb.Item) error {
	s.clearQueue()
	if len(items) == 0 {
		return nil
	}
	for _, it := range items {
		if e, ok := it.Message.(pb.Error); ok {
			err := &pb.PeerError{Received: e}
			s.c.tnc.Error(err.Error())
			s.fail(err)
		}
	}
	s.fail(errors.New("the server closed the TNC session with a CLOSE batch that holds messages"))
	return s.Outcome().Err
}

// handle acts on one message.
func (s *Session) handle(t pb.BatchType, m pb.Message) {
	l := s.c.tnc
	logAt(l, log.LevelDetail, fmt.Sprintf("processing %s message", m.MessageType()))
	switch m := m.(type) {
	case pb.AssessmentResult:
		if t != pb.RESULT {
			l.Info(fmt.Sprintf("ignore %s message not received within RESULT batch", m.MessageType()))
			return
		}
		l.Info(fmt.Sprintf("PB-TNC assessment result is '%s'", m.Result))
		s.mu.Lock()
		s.out.Assessment = Assessment(m.Result) + AssessmentCompliant
		s.mu.Unlock()
	case pb.AccessRecommendation:
		if t != pb.RESULT {
			l.Info(fmt.Sprintf("ignore %s message not received within RESULT batch", m.MessageType()))
			return
		}
		s.recommend(m.Code)
	case pb.RemediationParameters:
		s.remediate(m)
	case pb.ReasonString:
		text, lang := keep(m.Text), keep(m.Language)
		l.Info(fmt.Sprintf("reason string is '%s' [%s]", oneLine(text), oneLine(lang)))
		s.mu.Lock()
		if len(s.out.Reasons) < MaxReasons {
			s.out.Reasons = append(s.out.Reasons, Reason{Text: text, Language: lang})
		}
		s.mu.Unlock()
	case pb.Error: // fatal ones ended the batch before
		l.Warn((&pb.PeerError{Received: m}).Error())
	case pb.LanguagePreference:
		l.Info(fmt.Sprintf("setting language preference to '%s'", m.Languages))
	case pb.PDPReferral:
		s.refer(m)
	case pb.MutualCapability:
		s.agree(m)
	case pb.Raw:
		l.Info(fmt.Sprintf("ignore PB-TNC message (0x%06x/0x%08x)", m.Kind.Vendor, m.Kind.Type))
	}
}

// deliver gives a PA-TNC message to every IMC that it is for (RFC 5793 §4.5).
func (s *Session) deliver(m *pb.PA) {
	if s.c.tnc.Enabled(context.Background(), slog.LevelInfo) {
		s.c.tnc.Info("handling PB-PA message type " + pb.PAName(m.Vendor, m.Subtype))
	}
	s.mu.Lock()
	s.out.MessagesReceived++
	s.mu.Unlock()
	msg := Message{
		Exclusive: m.Exclusive,
		Vendor:    m.Vendor,
		Subtype:   m.Subtype,
		SourceIMV: uint32(m.Validator),
		DestIMC:   uint32(m.Collector),
		Data:      m.Body,
	}
	if s.c.cfg.Trace != nil {
		e := Exchange{
			Connection: s.id, IMC: msg.DestIMC, IMV: msg.SourceIMV,
			Exclusive: m.Exclusive, Vendor: m.Vendor, Subtype: m.Subtype, Body: bytes.Clone(m.Body),
		}
		for _, col := range s.imcs {
			if s.wants(col, m) {
				e.IMCs = append(e.IMCs, col.name)
			}
		}
		s.c.cfg.Trace(e)
	}
	delivered := false
	for _, col := range s.imcs {
		if !s.wants(col, m) {
			continue
		}
		delivered = true
		s.setWindow(true)
		err := col.imc.ReceiveMessage(s.id, msg)
		s.setWindow(false)
		if err != nil {
			s.answered(col, err)
		}
	}
	if !delivered {
		s.c.tnc.Info(fmt.Sprintf("message type 0x%06x/0x%08x not supported by any IMC", m.Vendor, m.Subtype))
	}
}

// wants reports whether a message is for the IMC.
func (s *Session) wants(col *collector, m *pb.PA) bool {
	return !col.lost.Load() && col.wants(m.Vendor, m.Subtype) && (!m.Exclusive || s.c.owner(uint32(m.Collector)) == col)
}

// recommend takes the server's recommendation and tells the IMCs.
func (s *Session) recommend(code pb.Access) {
	s.c.tnc.Info(fmt.Sprintf("PB-TNC access recommendation is '%s'", code))
	r, st := RecommendDeny, StateAccessNone
	switch code {
	case pb.AccessAllowed:
		r, st = RecommendAllow, StateAccessAllowed
	case pb.Quarantined:
		r, st = RecommendIsolate, StateAccessIsolated
	}
	s.mu.Lock()
	s.out.Recommendation = r
	s.mu.Unlock()
	s.notify(st)
}

func (s *Session) remediate(m pb.RemediationParameters) {
	r := Remediation{Vendor: m.Vendor, Type: m.Type, URI: keep(m.URI), Text: keep(m.Text), Language: keep(m.Language)}
	switch {
	case r.URI != "":
		s.c.tnc.Info("remediation uri: " + oneLine(r.URI))
	case r.Text != "":
		s.c.tnc.Info(fmt.Sprintf("remediation string: %s [%s]", oneLine(r.Text), oneLine(r.Language)))
	default:
		r.Data = m.Data
		s.c.tnc.Info(fmt.Sprintf("remediation parameters: %d bytes of type 0x%06x/0x%08x", len(m.Data), m.Vendor, m.Type))
	}
	s.mu.Lock()
	if len(s.out.Remediation) < MaxRemediation {
		s.out.Remediation = append(s.out.Remediation, r)
	}
	s.mu.Unlock()
}

func (s *Session) refer(m pb.PDPReferral) {
	if m.Vendor != pb.VendorTCG || m.Host == "" {
		return
	}
	if m.Protocol != pb.PDPProtocolPTTLS {
		s.c.tnc.Info("unsupported PDP transport protocol")
		return
	}
	host := oneLine(keep(m.Host))
	s.c.tnc.Info(fmt.Sprintf("PDP server '%s' is listening on port %d", host, m.Port))
	s.mu.Lock()
	s.out.PDP = net.JoinHostPort(host, strconv.Itoa(int(m.Port)))
	s.mu.Unlock()
}

// keep returns text of the server fit to be kept and printed.
func keep(text string) string {
	if len(text) > maxTextKept {
		text = text[:maxTextKept]
	}
	return printable(text)
}

// forgetResult drops the result of the handshake before. The mutex is held.
func (s *Session) forgetResult() {
	s.out.Recommendation, s.out.Assessment = RecommendNone, AssessmentNone
	s.out.Reasons, s.out.Remediation = nil, nil
}

// Done reports whether the session has ended: CLOSE was sent or received.
func (s *Session) Done() bool { return s.state() == pb.End }

// Outcome returns what the session has come to so far.
func (s *Session) Outcome() Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.out
	o.ConnectionID = s.id
	o.AllReasons = slices.Clone(o.Reasons)
	o.Reasons = preferred(s.c.cfg.PreferredLanguage, o.Reasons, func(r Reason) string { return r.Language })
	o.Remediation = preferred(s.c.cfg.PreferredLanguage, o.Remediation, func(r Remediation) string { return r.Language })
	o.IMCErrors = append([]error(nil), o.IMCErrors...)
	if o.Err == nil {
		o.Err = s.failed
	}
	return o
}

// Close tells the IMCs that the connection is gone. It may be called more than once.
func (s *Session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.opened {
		s.notify(StateDelete)
	}
	s.mutual.close()
	s.clearQueue()
	s.c.mu.Lock()
	delete(s.c.sessions, s.id)
	s.c.mu.Unlock()
	if s.failed == nil {
		s.c.tnc.Info(fmt.Sprintf("removed TNCCS Connection ID %d", s.id))
	}
	return nil
}
