package tnccs

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// build returns the next batch of the client half, nil where there is nothing to
// send.
func (s *Session) build() ([]byte, error) {
	s.mu.Lock()
	retry := s.retry
	s.retry = false
	st := s.out.State
	s.mu.Unlock()

	t := pb.CDATA
	if retry && st == pb.Decided {
		// The IMCs start over: their queued messages are obsolete.
		t = pb.CRETRY
		s.clearQueue()
		s.mu.Lock()
		s.clearResult()
		select {
		case <-s.wanted: // it is served
		default:
		}
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
		log.Infof(s.c.tnc, "canceling PB-TNC %s batch", t)
		return nil, nil
	}
	b := pb.NewBuilder(t, pb.Client, s.maxBatch)
	log.Infof(s.c.tnc, "creating PB-TNC %s batch", t)
	left, err := s.fill(b)
	if err != nil {
		return nil, fmt.Errorf("build PB-TNC %s batch: %w", t, err)
	}
	if left > 0 {
		plural := "s"
		if left == 1 {
			plural = ""
		}
		log.Infof(s.c.tnc, "queued %d PB-TNC message%s for next %s batch", left, plural, pb.CDATA)
	}
	return s.send(b, t, next), nil
}

// send finishes a batch, changes the state to next, and returns the octets.
func (s *Session) send(b *pb.Builder, t pb.BatchType, next pb.State) []byte {
	s.setState(next)
	if v := s.c.cfg.Tests.Version; v != 0 && t != pb.CLOSE {
		b.SetVersion(v)
	}
	out := b.Bytes()
	s.sent = out
	s.mu.Lock()
	s.out.BatchesSent++
	s.out.BytesSent += int64(len(out))
	s.mu.Unlock()
	log.Infof(s.c.tnc, "sending PB-TNC %s batch (%d bytes) for Connection ID %d", t, len(out), s.id)
	return out
}
