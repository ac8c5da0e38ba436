package tnccs

import (
	"bytes"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// deliver passes a PA-TNC message to every IMC that it is for (RFC 5793 section
// 4.5).
func (s *Session) deliver(m *pb.PA) {
	if log.Enabled(s.c.tnc, slog.LevelInfo) {
		log.Infof(s.c.tnc, "handling PB-PA message type %s", ifimc.MessageName(m.Vendor, m.Subtype))
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
		s.traceReceived(m)
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
			s.imcFailed(col, err)
		}
	}
	if !delivered {
		log.Infof(s.c.tnc, "message type 0x%06x/0x%08x not supported by any IMC", m.Vendor, m.Subtype)
	}
}

// traceReceived reports a received message to Config.Trace.
func (s *Session) traceReceived(m *pb.PA) {
	e := Exchange{
		Connection: s.id, IMC: uint32(m.Collector), IMV: uint32(m.Validator),
		Exclusive: m.Exclusive, Vendor: m.Vendor, Subtype: m.Subtype, Body: bytes.Clone(m.Body),
	}
	for _, col := range s.imcs {
		if s.wants(col, m) {
			e.IMCs = append(e.IMCs, col.name)
		}
	}
	s.c.cfg.Trace(e)
}

// wants reports whether a message is for the IMC.
func (s *Session) wants(col *collector, m *pb.PA) bool {
	return !col.lost.Load() && col.wants(m.Vendor, m.Subtype) && (!m.Exclusive || s.c.owner(uint32(m.Collector)) == col)
}
