package tnccs

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/gotnc/gotnc/internal/base/ifimc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// deliver gives a PA-TNC message to every IMC that it is for (RFC 5793 §4.5).
func (s *Session) deliver(m *pb.PA) {
	if s.c.tnc.Enabled(context.Background(), slog.LevelInfo) {
		s.c.tnc.Info("handling PB-PA message type " + ifimc.MessageName(m.Vendor, m.Subtype))
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
		log.Infof(s.c.tnc, "message type 0x%06x/0x%08x not supported by any IMC", m.Vendor, m.Subtype)
	}
}

// wants reports whether a message is for the IMC.
func (s *Session) wants(col *collector, m *pb.PA) bool {
	return !col.lost.Load() && col.wants(m.Vendor, m.Subtype) && (!m.Exclusive || s.c.owner(uint32(m.Collector)) == col)
}
