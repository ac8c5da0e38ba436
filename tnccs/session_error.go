package tnccs

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// BindingError is the cause of a session's end where the two sides are set to
// different bindings of IF-TNCCS.
type BindingError struct {
	Server Protocol // what the server sent
	Client Protocol // what this side speaks
}

func (e *BindingError) Error() string {
	return fmt.Sprintf("the server speaks %s, this side %s", e.Server, e.Client)
}

// otherBinding returns the error of a session of PB-TNC about a batch with a bad
// header: err, unless the batch is one of TNCCS-XML.
func otherBinding(batch []byte, err error) error {
	if p, e := Detect(batch); e == nil && p == ProtocolXML {
		return &pb.ProtocolError{Code: pb.CodeVersionNotSupported, BadVersion: batch[0],
			Err: &BindingError{Server: ProtocolXML, Client: ProtocolPB}}
	}
	return err
}

// reject answers a batch that breaks the protocol with a PB-Error in a CLOSE
// batch, and drops the queue.
func (s *Session) reject(pe *pb.ProtocolError) ([]byte, error) {
	log.Errorf(s.c.tnc, "%v", pe)
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

// rejectErr is reject for any error; one that is no *pb.ProtocolError is
// reported as Local Error.
func (s *Session) rejectErr(err error) ([]byte, error) {
	var pe *pb.ProtocolError
	if !errors.As(err, &pe) {
		pe = &pb.ProtocolError{Code: pb.CodeLocalError, Err: err}
	}
	return s.reject(pe)
}

// queueWarning queues a PB-Error that is not fatal. It goes with the next CDATA
// batch; CLOSE with an error in it would be a failure.
func (s *Session) queueWarning(pe *pb.ProtocolError) {
	log.Warnf(s.c.tnc, "%v", pe)
	s.mu.Lock()
	if len(s.queue) < MaxQueuedMessages {
		s.queue = append(s.queue, pe.Message())
	}
	s.mu.Unlock()
}

// fail records why the session ended; the first cause is kept.
func (s *Session) fail(err error) {
	s.clearQueue()
	s.mu.Lock()
	if s.out.Err == nil {
		s.out.Err = err
	}
	s.mu.Unlock()
}

// afterEnd returns the error for a batch that came after the end of the session:
// none for a CLOSE batch. Nothing is answered, because two ends that report
// errors about each other's errors would never stop.
func (s *Session) afterEnd(h pb.Header, err error) error {
	if err == nil && h.Type == pb.CLOSE {
		return nil
	}
	if cause := s.Outcome().Err; cause != nil {
		return cause
	}
	return ErrEnded
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
			err := s.peerError(e)
			log.Errorf(s.c.tnc, "%v", err)
			s.fail(err)
		}
	}
	s.fail(errors.New("the server closed the TNC session with a CLOSE batch that holds messages"))
	return s.Outcome().Err
}

// receiveFatal ends the session on a fatal error that the server reports.
func (s *Session) receiveFatal(perr *pb.PeerError) ([]byte, error) {
	log.Errorf(s.c.tnc, "%v", perr)
	s.fail(perr)
	s.c.tnc.Error("a fatal PB-TNC error occurred, terminating connection")
	return s.send(pb.NewBuilder(pb.CLOSE, pb.Client, s.maxBatch), pb.CLOSE, pb.End), nil
}

// fatalError returns the first fatal error that the server reports.
func (s *Session) fatalError(items []pb.Item) *pb.PeerError {
	for i := range items {
		if e, ok := items[i].Message.(pb.Error); ok && e.Fatal {
			return s.peerError(e)
		}
	}
	return nil
}

// peerError returns an error that the server reports, with the type of the
// message of the last batch sent that it points at.
func (s *Session) peerError(e pb.Error) *pb.PeerError {
	pe := &pb.PeerError{Received: e}
	if offset, ok := e.Offset(); ok {
		if t, ok := pb.MessageAt(s.sent, offset); ok {
			pe.About = &t
		}
	}
	return pe
}
