package imv

import (
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Caps of reassembly (TCG IF-M Segmentation 1.0).
const (
	maxBaseAttribute = 16 << 20
	maxBaseMessages  = 16
)

// segments reassembles the attributes that an IMC sends in segments.
type segments struct {
	asked   bool // a contract was requested
	granted bool // and answered
	open    map[uint32]*base
}

// base is one base attribute under reassembly.
type base struct {
	data  []byte
	total int
}

// segment handles one Segment Envelope and asks for the next one.
func (v *Verifier) segment(from pa, e patnc.SegmentEnvelope) {
	s := &v.segments
	if !s.asked {
		v.pts.Info("segment without a segmentation contract ignored")
		return
	}
	b := s.open[e.BaseMessageID]
	switch {
	case e.Start && b != nil, !e.Start && b == nil:
		log.Infof(v.pts, "segment of base message %d out of order ignored", e.BaseMessageID)
		return
	case e.Start:
		if len(e.Data) < patnc.AttributeHeaderSize {
			v.finding("the first segment of an attribute is too short")
			return
		}
		total := binary.BigEndian.Uint32(e.Data[8:])
		if total < patnc.AttributeHeaderSize || total > maxBaseAttribute || len(s.open) == maxBaseMessages {
			v.finding(fmt.Sprintf("segmented attribute of %d octets not accepted", total))
			v.reply(from, patnc.Skip(patnc.NextSegment{Cancel: true, BaseMessageID: e.BaseMessageID}))
			return
		}
		b = &base{total: int(total)}
		if s.open == nil {
			s.open = make(map[uint32]*base)
		}
		s.open[e.BaseMessageID] = b
	}
	b.data = append(b.data, e.Data...)
	if len(b.data) > b.total || !e.More && len(b.data) < b.total {
		delete(s.open, e.BaseMessageID)
		v.finding("segmented attribute does not have the length it announced")
		return
	}
	if e.More {
		v.reply(from, patnc.Skip(patnc.NextSegment{BaseMessageID: e.BaseMessageID}))
		return
	}
	delete(s.open, e.BaseMessageID)
	// The base attribute is parsed as the only one of a message.
	msg, err := patnc.Parse(append([]byte{patnc.Version, 0, 0, 0, 0, 0, 0, 0}, b.data...), pts.Attributes)
	if err != nil {
		v.finding("segmented attribute cannot be decoded")
		return
	}
	for _, a := range msg.Attributes {
		if _, nested := a.Value.(patnc.SegmentEnvelope); nested {
			v.finding("segment inside a segmented attribute")
			continue
		}
		v.attribute(from, a)
	}
}
