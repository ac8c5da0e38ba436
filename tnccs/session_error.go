package tnccs

import (
	"errors"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// reject answers a batch that breaks the protocol: CLOSE with a PB-Error.
// Everything queued is dropped.
func (s *Session) reject(pe *pb.ProtocolError) ([]byte, error) {
	s.c.tnc.Error(pe.Error())
	s.fail(pe)
	log.Infof(s.c.tnc, "creating PB-TNC %s batch", pb.CLOSE)
	m := pe.Message()
	b := pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch)
	if _, err := b.Add(m); err != nil {
		return nil, err
	}
	log.Infof(s.c.tnc, "adding %s message", m.MessageType())
	return s.send(b, pb.CLOSE, pb.End), nil
}

func (s *Session) rejectErr(err error) ([]byte, error) {
	var pe *pb.ProtocolError
	if !errors.As(err, &pe) {
		pe = &pb.ProtocolError{Code: pb.CodeLocalError, Err: err}
	}
	return s.reject(pe)
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

// fail records what ended the session.
func (s *Session) fail(err error) {
	s.clearQueue()
	s.mu.Lock()
	if s.out.Err == nil {
		s.out.Err = err
	}
	s.mu.Unlock()
}

// fatalError returns the first fatal error that the server reports.
func (s *Session) fatalError(items []pb.Item) *pb.PeerError {
	for i := range items {
		if e, ok := items[i].Message.(pb.Error); ok && e.Fatal {
			return s.reported(e)
		}
	}
	return nil
}

// reported is an error that the server reports, with the message of our last
// batch that it points at.
func (s *Session) reported(e pb.Error) *pb.PeerError {
	pe := &pb.PeerError{Received: e}
	if offset, ok := e.Offset(); ok {
		if t, ok := pb.MessageAt(s.sent, offset); ok {
			pe.About = &t
		}
	}
	return pe
}
