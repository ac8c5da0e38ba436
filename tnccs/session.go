package tnccs

import (
	"bytes"
	"errors"
	"fmt"
	"net"
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

	protocol, version string
	maxBatch, maxMsg  int
	opened            bool
	closed            bool
	failed            error

	mu     sync.Mutex // guards what follows against the calls of IMCs
	window bool       // SendMessage is allowed
	retry  bool       // a handshake retry was asked for
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
	s.mu.Lock()
	s.opened = true
	s.protocol, s.version, s.maxBatch, s.maxMsg = protocol, version, maxBatch, maxMsg
	s.mu.Unlock()
	s.notify(StateCreate)
	return nil
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
	s.language()
	s.handshake()
	return s.build()
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
	for _, col := range s.c.collectors() {
		s.call(col, window, f)
	}
}

// call calls f for one IMC. An IMC whose call fails with anything but a result
// code is lost: the client does not call it again.
func (s *Session) call(col *collector, window bool, f func(IMC) error) {
	s.setWindow(window)
	err := f(col.imc)
	s.setWindow(false)
	var r Result
	if err == nil {
		return
	}
	if errors.As(err, &r) {
		logAt(s.c.imc, log.LevelDetail, fmt.Sprintf("IMC %d %q answered %v", col.id, col.name, error(r)))
		return
	}
	err = fmt.Errorf("IMC %d %q is lost: %w", col.id, col.name, err)
	s.c.imc.Error(err.Error())
	s.c.mu.Lock()
	col.lost = err
	s.c.mu.Unlock()
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
func (s *Session) enqueue(imc uint32, m pb.PA) Result {
	s.mu.Lock()
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
		return ResultSuccess
	case !window:
		s.c.tnc.Warn(fmt.Sprintf("IMC %d not allowed to call SendMessage()", imc))
		return ResultIllegalOperation
	case len(m.Body) > maxMsg:
		s.c.tnc.Warn(fmt.Sprintf("IMC %d: message of %d bytes exceeds the maximum of %d", imc, len(m.Body), maxMsg))
		return ResultExceededMaxMessageSize
	}
	s.c.tnc.Warn(fmt.Sprintf("IMC %d: too many messages wait for Connection ID %d", imc, s.id))
	return ResultOther
}

func (s *Session) requestRetry() {
	s.mu.Lock()
	s.retry = true
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
	case AttrMaxRoundTrips:
		return u32(0xffffffff), ResultSuccess
	case AttrMaxMessageSize:
		return u32(uint32(s.maxMsg)), ResultSuccess
	case AttrHasLongTypes, AttrHasExclusive:
		return []byte{1}, ResultSuccess
	case AttrHasSOH:
		return []byte{0}, ResultSuccess
	case AttrIFTNCCSProtocol:
		return text("IF-TNCCS")
	case AttrIFTNCCSVersion:
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
	s.c.tnc.Info(fmt.Sprintf("received TNCCS batch (%d bytes)", len(batch)))
	s.mu.Lock()
	s.out.BatchesReceived++
	s.out.BytesReceived += int64(len(batch))
	n, st, cause := s.out.BatchesReceived, s.out.State, s.out.Err
	s.mu.Unlock()

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
		return s.rejectErr(err)
	}
	s.c.tnc.Info(fmt.Sprintf("processing PB-TNC %s batch for Connection ID %d", h.Type, s.id))
	next, verdict := st.Next(pb.Server, h.Type)
	switch verdict {
	case pb.Illegal:
		return s.reject(&pb.ProtocolError{Code: pb.CodeUnexpectedBatchType, Err: fmt.Errorf("unexpected PB-TNC batch type: %s in state '%s'", h.Type, st)})
	case pb.Ignore:
		s.c.tnc.Info(fmt.Sprintf("ignoring PB-TNC %s batch in state '%s'", h.Type, st))
		return nil, nil
	}
	ms, err := pb.ParseMessages(h, batch)
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
		return nil, s.receiveClose(ms)
	}
	if perr := fatalError(ms); perr != nil {
		s.c.tnc.Error(perr.Error())
		s.fail(perr)
		s.c.tnc.Error("a fatal PB-TNC error occurred, terminating connection")
		return s.send(pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch), pb.CLOSE, pb.End), nil
	}
	if h.Type == pb.SDATA && st == pb.Init {
		// The server opened the transport: the handshake begins with its batch.
		s.language()
		s.handshake()
	}
	if h.Type == pb.SRETRY {
		s.clearQueue()
		s.mu.Lock()
		s.forgetResult()
		s.mu.Unlock()
		s.handshake()
	}
	for _, m := range ms {
		s.handle(h.Type, m)
	}
	s.each(true, func(i IMC) error { return i.BatchEnding(s.id) })
	return s.build()
}

func (s *Session) rejectErr(err error) ([]byte, error) {
	var pe *pb.ProtocolError
	if !errors.As(err, &pe) {
		pe = &pb.ProtocolError{Code: pb.CodeLocalError, Err: err}
	}
	return s.reject(pe)
}

// fatalError returns the first fatal error that the server reports.
func fatalError(ms []pb.Message) *pb.PeerError {
	for _, m := range ms {
		if e, ok := m.(pb.Error); ok && e.Fatal {
			return &pb.PeerError{Received: e}
		}
	}
	return nil
}

// receiveClose ends the session on the server's CLOSE: an empty one is the
// regular end, one with messages a failure.
func (s *Session) receiveClose(ms []pb.Message) error {
	s.clearQueue()
	if len(ms) == 0 {
		return nil
	}
	for _, m := range ms {
		if e, ok := m.(pb.Error); ok {
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
	case pb.PA:
		s.deliver(m)
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
		// Not proposed, so not taken up: measurement stays one-sided.
		l.Info("ignoring PB-TNC mutual capability of the server")
	case pb.Raw:
		l.Info(fmt.Sprintf("ignore PB-TNC message (0x%06x/0x%08x)", m.Kind.Vendor, m.Kind.Type))
	}
}

// deliver gives a PA-TNC message to every IMC that it is for (RFC 5793 §4.5).
func (s *Session) deliver(m pb.PA) {
	s.c.tnc.Info("handling PB-PA message type " + pb.PAName(m.Vendor, m.Subtype))
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
	delivered := false
	for _, col := range s.c.collectors() {
		s.c.mu.Lock()
		wants := col.wants(m.Vendor, m.Subtype) && (!m.Exclusive || s.c.ids[msg.DestIMC] == col)
		s.c.mu.Unlock()
		if wants {
			delivered = true
			s.call(col, true, func(i IMC) error { return i.ReceiveMessage(s.id, msg) })
		}
	}
	if !delivered {
		s.c.tnc.Info(fmt.Sprintf("message type 0x%06x/0x%08x not supported by any IMC", m.Vendor, m.Subtype))
	}
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
	o.Reasons = append([]Reason(nil), o.Reasons...)
	o.Remediation = append([]Remediation(nil), o.Remediation...)
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
	s.clearQueue()
	s.c.mu.Lock()
	delete(s.c.sessions, s.id)
	s.c.mu.Unlock()
	if s.failed == nil {
		s.c.tnc.Info(fmt.Sprintf("removed TNCCS Connection ID %d", s.id))
	}
	return nil
}
