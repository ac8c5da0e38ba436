package tnccs

import (
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// Receive handles one batch of the server and returns the answer; an empty
// answer means that there is nothing to send.
//
// Where the batch breaks the protocol, or reports a fatal error, the answer is a
// CLOSE batch and the error is nil: the transport still has to carry it. The
// cause is then in Outcome().Err, and every later call returns it. An empty
// CLOSE of the server ends the session without an error.
func (s *Session) Receive(batch []byte) ([]byte, error) {
	switch {
	case s.failed != nil:
		return nil, s.failed
	case !s.opened:
		return nil, ErrNotOpen
	case s.closed:
		return nil, ErrEnded
	}
	s.mu.Lock()
	s.out.BatchesReceived++
	s.out.BytesReceived += int64(len(batch))
	n, st := s.out.BatchesReceived, s.out.State
	s.mu.Unlock()
	if log.Enabled(s.c.tnc, slog.LevelInfo) {
		log.Infof(s.c.tnc, "received TNCCS batch (%d bytes)", len(batch))
	}
	s.chooseBinding(batch, st)
	switch {
	case s.xml != nil:
		return s.receiveXML(batch, n)
	case s.mutual.on && st != pb.End && !fromServer(batch):
		return s.receivePeer(batch)
	}
	return s.receivePB(batch, n, st)
}

// chooseBinding makes the session one of TNCCS-XML where its first batch is, and
// Config.Protocol leaves the choice to the server.
func (s *Session) chooseBinding(batch []byte, st pb.State) {
	if s.c.cfg.Protocol != ProtocolDynamic || st != pb.Init || s.xml != nil || !carriesXML(s.protocol, s.version) {
		return
	}
	if p, err := Detect(batch); err == nil && p == ProtocolXML {
		s.speakXML()
	}
}

// fromServer reports the D bit of a PB-TNC batch: the sender is a TNC server.
func fromServer(batch []byte) bool { return len(batch) > 1 && batch[1]&0x80 != 0 }

// receivePB handles the nth batch of the session, one of PB-TNC, in the order of
// RFC 5793 section 4: header, state, messages, and only then what they say.
func (s *Session) receivePB(batch []byte, n int, st pb.State) ([]byte, error) {
	h, err := pb.ParseHeader(batch, pb.Client)
	if st == pb.End {
		return nil, s.afterEnd(h, err)
	}
	if n > MaxBatches {
		return s.reject(&pb.ProtocolError{Code: pb.CodeLocalError, Err: fmt.Errorf("more than %d batches in a session", MaxBatches)})
	}
	if err != nil {
		return s.rejectErr(otherBinding(batch, err))
	}
	if log.Enabled(s.c.tnc, slog.LevelInfo) {
		log.Infof(s.c.tnc, "processing PB-TNC %s batch for Connection ID %d", h.Type, s.id)
	}
	next, verdict := st.Next(pb.Server, h.Type)
	switch verdict {
	case pb.Illegal:
		return s.reject(&pb.ProtocolError{Code: pb.CodeUnexpectedBatchType, Err: fmt.Errorf("unexpected PB-TNC batch type: %s in state '%s'", h.Type, st)})
	case pb.Ignore:
		log.Infof(s.c.tnc, "ignoring PB-TNC %s batch in state '%s'", h.Type, st)
		return nil, nil
	}
	items, warnings, err := pb.AppendItems(s.items[:0], h, batch)
	s.items = items
	defer s.releaseItems()
	switch {
	case err != nil && h.Type == pb.CLOSE:
		// The session is over; there is nobody to answer.
		s.fail(err)
		s.setState(pb.End)
		return nil, err
	case err != nil:
		return s.rejectErr(err)
	}
	s.setState(next)
	if h.Type == pb.CLOSE {
		return nil, s.receiveClose(items)
	}
	if perr := s.fatalError(items); perr != nil {
		return s.receiveFatal(perr)
	}
	s.startHandshake(h.Type, st)
	for _, w := range warnings {
		s.queueWarning(w)
	}
	return s.process(h.Type, items)
}

// startHandshake begins a handshake in the IMCs where a batch of type t, which
// came in state st, is the first of one.
func (s *Session) startHandshake(t pb.BatchType, st pb.State) {
	switch {
	case t == pb.SDATA && st == pb.Init: // the server spoke first
		s.queueOpening()
	case t == pb.SRETRY:
		s.clearQueue()
		s.mu.Lock()
		s.clearResult()
		s.mu.Unlock()
		s.handshake()
	}
}

// process acts on the messages of a batch of type t and returns the answer.
func (s *Session) process(t pb.BatchType, items []pb.Item) ([]byte, error) {
	for i := range items {
		if items[i].Message == nil {
			s.deliver(&items[i].PA)
		} else {
			s.handle(t, items[i].Message)
		}
	}
	s.batchEnding()
	if t == pb.RESULT {
		if err := s.requireMutual(); err != nil {
			return nil, err
		}
	}
	if s.mutual.on {
		return s.buildTurn(true)
	}
	return s.build()
}

// releaseItems drops the references of the items to the batch.
func (s *Session) releaseItems() {
	clear(s.items)
	if cap(s.items) > maxItemsKept {
		s.items = nil
	}
}
