package tnccs

import (
	"bytes"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// enqueue queues a copy of a message of an IMC for the next batch.
func (s *Session) enqueue(col *collector, m pb.PA) Result {
	if col == nil {
		return ResultInvalidParameter
	}
	s.mu.Lock()
	if s.xml != nil && m.Subtype > AnySubtype {
		s.mu.Unlock()
		log.Warnf(s.c.tnc, "IMC %d: message type 0x%06x/0x%08x does not fit IF-TNCCS 1.1", m.Collector, m.Vendor, m.Subtype)
		return ResultNoLongMessageTypes
	}
	window, maxMsg := s.window, s.maxMsg
	full := len(s.queue) >= MaxQueuedMessages || s.queued+len(m.Body) > MaxQueuedBytes
	accept := window && !full && len(m.Body) <= maxMsg
	if accept {
		m.Body = bytes.Clone(m.Body)
		s.queue = append(s.queue, m)
		s.queued += len(m.Body)
	}
	s.mu.Unlock()
	switch {
	case accept:
		log.Infof(s.c.tnc, "creating PB-PA message type %s", ifimc.MessageName(m.Vendor, m.Subtype))
		if s.c.cfg.Trace != nil {
			s.c.cfg.Trace(Exchange{
				Connection: s.id, Sent: true, IMCs: []string{col.name}, IMC: uint32(m.Collector), IMV: uint32(m.Validator),
				Exclusive: m.Exclusive, Vendor: m.Vendor, Subtype: m.Subtype, Body: bytes.Clone(m.Body),
			})
		}
		return ResultSuccess
	case !window:
		log.Warnf(s.c.tnc, "IMC %d not allowed to call SendMessage()", m.Collector)
		return ResultIllegalOperation
	case len(m.Body) > maxMsg:
		log.Warnf(s.c.tnc, "IMC %d: message of %d bytes exceeds the maximum of %d", m.Collector, len(m.Body), maxMsg)
		return ResultExceededMaxMessageSize
	}
	log.Warnf(s.c.tnc, "IMC %d: too many messages wait for Connection ID %d", m.Collector, s.id)
	return ResultOther
}

// clearQueue drops all queued messages.
func (s *Session) clearQueue() {
	s.mu.Lock()
	s.queue, s.queued = nil, 0
	s.mu.Unlock()
}

// fill moves queued messages, in their order, into a batch until one does not
// fit, and returns the number of messages that stay queued.
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
		case !ok: // it does not fit an empty batch either
			log.Warnf(s.c.tnc, "dropping %s message that fits no batch", m.MessageType())
		default:
			log.Infof(s.c.tnc, "adding %s message", m.MessageType())
		}
	}
}
