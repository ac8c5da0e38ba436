package tnccs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

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
		log.Infof(s.c.tnc, "received TNCCS batch (%d bytes)", len(batch))
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
	if perr := s.fatalError(items); perr != nil {
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
	if next == pb.Decided {
		if err := s.decided(); err != nil {
			return nil, err
		}
	}
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

// receiveClose ends the session on the server's CLOSE: an empty one is the
// regular end, one with messages a failure.
func (s *Session) receiveClose(items []pb.Item) error {
	s.clearQueue()
	if len(items) == 0 {
		err := s.PeerVerdict()
		if err != nil {
			s.fail(err)
		}
		return err
	}
	for _, it := range items {
		if e, ok := it.Message.(pb.Error); ok {
			err := s.reported(e)
			s.c.tnc.Error(err.Error())
			s.fail(err)
		}
	}
	s.fail(errors.New("the server closed the TNC session with a CLOSE batch that holds messages"))
	return s.Outcome().Err
}
