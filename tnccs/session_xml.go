package tnccs

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/xml"
)

// DefaultMaxMessageXML is the largest message over TNCCS-XML, in octets before
// Base64: strongSwan's tnccs-11.max_message_size.
const DefaultMaxMessageXML = 45000

// xmlState is the state that only TNCCS-XML has. The binding defines no states of
// a session; those of PB-TNC describe its progress.
type xmlState struct {
	last uint32 // BatchId of the last batch, of either side
}

// speakXML makes the session one of TNCCS-XML.
func (s *Session) speakXML() {
	limit := s.c.cfg.MaxMessageSizeXML
	if limit == 0 {
		limit = DefaultMaxMessageXML
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.xml = &xmlState{}
	s.maxMsg = min(limit, max(0, s.maxBatch-xml.Overhead())/4*3)
	if n := s.c.cfg.MaxMessageSize; n > 0 {
		s.maxMsg = min(s.maxMsg, n)
	}
}

// buildXML returns the next batch. It holds no messages where none are queued:
// hostapd and strongSwan then continue to measure.
func (s *Session) buildXML() ([]byte, error) {
	switch s.state() {
	case pb.Decided, pb.End:
		s.clearQueue()
		return nil, nil
	}
	s.mu.Lock()
	s.retry = false // TNCCS-XML knows no retry
	s.mu.Unlock()
	s.xml.last++
	log.Infof(s.c.tnc, "creating TNCCS Batch #%d", s.xml.last)
	b := xml.NewBuilder(s.xml.last, xml.TNCS, s.maxBatch)
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.mu.Unlock()
			break
		}
		m := s.queue[0]
		s.mu.Unlock()
		x, ok := toXML(m)
		fits := true
		if ok {
			var err error
			if fits, err = b.Add(x); err != nil {
				return nil, fmt.Errorf("build TNCCS batch: %w", err)
			}
			if !fits && b.Count() > 0 {
				break // it goes with the next batch
			}
		}
		s.mu.Lock()
		s.queue = s.queue[1:]
		if pa, is := m.(pb.PA); is {
			s.queued -= len(pa.Body)
			if fits {
				s.out.MessagesSent++
			}
		}
		s.mu.Unlock()
		switch {
		case ok && fits:
			log.Infof(s.c.tnc, "adding %s", nameXML(x))
		case ok:
			log.Warnf(s.c.tnc, "dropping %s that fits no batch", nameXML(x))
		}
	}
	s.setState(pb.ServerWorking)
	return s.sendXML(b), nil
}

// sendXML finishes a batch and returns the octets.
func (s *Session) sendXML(b *xml.Builder) []byte {
	out := b.Bytes()
	s.mu.Lock()
	s.out.BatchesSent++
	s.out.BytesSent += int64(len(out))
	s.mu.Unlock()
	log.Infof(s.c.tnc, "sending TNCCS Batch (%d bytes) for Connection ID %d", len(out), s.id)
	return out
}

// toXML converts a queued message to TNCCS-XML; ok is false where that has no such
// message.
func toXML(m pb.Message) (x xml.Message, ok bool) {
	switch m := m.(type) {
	case pb.PA:
		return xml.IMCIMV{Type: m.Vendor<<8 | m.Subtype&0xff, Body: m.Body}, true
	case pb.LanguagePreference:
		return xml.PreferredLanguage{Languages: m.Languages}, true
	}
	return nil, false
}

// nameXML returns the name of a message for the log.
func nameXML(m xml.Message) string {
	if _, ok := m.(xml.IMCIMV); ok {
		return "IMC-IMV message"
	}
	return "TNCC-TNCS message"
}

// receiveXML handles the nth batch of the session, one of TNCCS-XML. The first
// error in it ends the session: it is reported in a batch of its own, and no
// message is acted upon.
func (s *Session) receiveXML(batch []byte, n int) ([]byte, error) {
	o := s.Outcome()
	if o.State == pb.End {
		if o.Err != nil {
			return nil, o.Err
		}
		return nil, ErrEnded
	}
	s.xml.last++
	if n > MaxBatches {
		return s.rejectXML(&xml.ProtocolError{Type: xml.InternalError, Err: fmt.Errorf("more than %d batches in a session", MaxBatches)})
	}
	log.Infof(s.c.tnc, "processing TNCCS Batch #%d", s.xml.last)
	x, err := xml.Parse(batch, s.xml.last, xml.TNCC)
	if err != nil {
		var pe *xml.ProtocolError
		if !errors.As(err, &pe) {
			pe = &xml.ProtocolError{Type: xml.Other, Err: err}
		}
		if p, err := Detect(batch); err == nil && p == ProtocolPB {
			pe.Err = &BindingError{Server: ProtocolPB, Client: ProtocolXML}
		}
		return s.rejectXML(pe)
	}
	if x.Recipient != xml.TNCC {
		log.Detailf(s.c.tnc, "the batch is addressed to TNCS, as hostapd does")
	}
	for _, m := range x.Messages {
		if e, ok := m.(xml.Error); ok {
			e.Text = text.Printable(clipPrintable(e.Text))
			err := &xml.PeerError{Received: e}
			log.Errorf(s.c.tnc, "%v", err)
			s.fail(err)
			s.setState(pb.End)
			return nil, err
		}
	}
	if o.State == pb.Init {
		s.queueOpening()
	}
	for _, m := range x.Messages {
		s.handleXML(m)
	}
	s.batchEnding()
	if s.state() == pb.Decided {
		if err := s.requireMutual(); err != nil {
			return nil, err
		}
	}
	return s.buildXML()
}

// handleXML acts on one message.
func (s *Session) handleXML(m xml.Message) {
	l := s.c.tnc
	switch m := m.(type) {
	case xml.IMCIMV:
		s.deliver(&pb.PA{Vendor: m.Type >> 8, Subtype: m.Type & 0xff, Collector: pb.AnyID, Validator: 0, Body: m.Body})
	case xml.Recommendation:
		log.Infof(l, "TNC recommendation is '%s'", m.Type)
		s.setState(pb.Decided)
		switch m.Type {
		case xml.Allow:
			s.setRecommendation(RecommendAllow)
		case xml.Isolate:
			s.setRecommendation(RecommendIsolate)
		default:
			s.setRecommendation(RecommendDeny)
		}
	case xml.ReasonStrings:
		for _, r := range m.Reasons {
			kept := Reason{Text: clipPrintable(r.Text), Language: clipPrintable(r.Language)}
			log.Infof(l, "reason string is '%s'", text.Printable(kept.Text))
			log.Infof(l, "language code is '%s'", text.Printable(kept.Language))
			s.addReason(kept)
		}
	case xml.ContactInfo:
		log.Infof(l, "TNC server contact information: %q port %q", clipPrintable(m.Address), clipPrintable(m.Port))
	case xml.PreferredLanguage:
		log.Infof(l, "setting language preference to '%s'", text.Printable(clipPrintable(m.Languages)))
	case xml.Raw:
		log.Infof(l, "ignore TNCC-TNCS message of type 0x%08x", m.Type)
	}
}

// rejectXML answers a batch that breaks the protocol.
func (s *Session) rejectXML(pe *xml.ProtocolError) ([]byte, error) {
	log.Errorf(s.c.tnc, "%v", pe)
	s.fail(pe)
	s.xml.last++
	b := xml.NewBuilder(s.xml.last, xml.TNCS, s.maxBatch)
	m := pe.Message()
	m.Text = text.Printable(clipPrintable(m.Text))
	if ok, err := b.Add(m); err != nil || !ok {
		m.Text = ""
		if _, err := b.Add(m); err != nil {
			return nil, err
		}
	}
	s.setState(pb.End)
	return s.sendXML(b), nil
}
