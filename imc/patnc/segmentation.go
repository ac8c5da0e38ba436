package patnc

import "github.com/gotnc/gotnc/internal/base/wire"

// NoLimit means "no message size limit" and for "no segmentation" in a
// Contract.
const NoLimit uint32 = 0xFFFFFFFF

// EnvelopeSize is the octets that a segment takes in a message beside its data: the
// headers of attribute and envelope. SegmentOverhead adds the header of the
// message.
const (
	EnvelopeSize    = AttributeHeaderSize + 4
	SegmentOverhead = MessageHeaderSize + EnvelopeSize
)

// Contract holds the sizes that a segmentation contract agrees on (TCG IF-M
// Segmentation 1.0): u32 | u32.
type Contract struct {
	MaxMessage uint32 // octets of the largest base attribute with its header; NoLimit
	MaxSegment uint32 // octets of segment data; NoLimit: no segmentation
}

// ContractRequest is the Segmentation Contract Request.
type ContractRequest struct{ Contract }

// ContractResponse is the Segmentation Contract Response.
type ContractResponse struct{ Contract }

// Type returns TCG type 0x21.
func (ContractRequest) Type() Type { return TypeSegmentationContractRequest }

// Type returns TCG type 0x22.
func (ContractResponse) Type() Type { return TypeSegmentationContractResponse }

// AppendValue appends the value.
func (v Contract) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU32(wire.AppendU32(b, v.MaxMessage), v.MaxSegment), nil
}

func parseContractRequest(b []byte) (Value, error) {
	r := reader(TypeSegmentationContractRequest, b)
	v := ContractRequest{Contract{MaxMessage: r.U32(), MaxSegment: r.U32()}}
	return v, r.Finish()
}

func parseContractResponse(b []byte) (Value, error) {
	r := reader(TypeSegmentationContractResponse, b)
	v := ContractResponse{Contract{MaxMessage: r.U32(), MaxSegment: r.U32()}}
	return v, r.Finish()
}

// SegmentEnvelope is the Segment Envelope: u8 flags | u24 base message ID |
// segment data.
type SegmentEnvelope struct {
	More          bool // more segments follow
	Start         bool // first segment
	BaseMessageID uint32
	Data          []byte
}

const (
	flagMore   = 0x80
	flagStart  = 0x40
	flagCancel = 0x80
)

// Type returns TCG type 0x23.
func (SegmentEnvelope) Type() Type { return TypeSegmentEnvelope }

// AppendValue appends the value.
func (v SegmentEnvelope) AppendValue(b []byte) ([]byte, error) {
	var flags byte
	if v.More {
		flags |= flagMore
	}
	if v.Start {
		flags |= flagStart
	}
	return append(wire.AppendU24(append(b, flags), v.BaseMessageID), v.Data...), nil
}

func parseSegmentEnvelope(b []byte) (Value, error) {
	r := reader(TypeSegmentEnvelope, b)
	flags := r.U8()
	v := SegmentEnvelope{More: flags&flagMore != 0, Start: flags&flagStart != 0, BaseMessageID: r.U24()}
	v.Data = clone(r.Rest())
	return v, r.Err()
}

// NextSegment is the Next Segment request: u8 flags | u24 base message ID.
type NextSegment struct {
	Cancel        bool // drop the base message instead
	BaseMessageID uint32
}

// Type returns TCG type 0x24.
func (NextSegment) Type() Type { return TypeNextSegment }

// AppendValue appends the value.
func (v NextSegment) AppendValue(b []byte) ([]byte, error) {
	var flags byte
	if v.Cancel {
		flags = flagCancel
	}
	return wire.AppendU24(append(b, flags), v.BaseMessageID), nil
}

func parseNextSegment(b []byte) (Value, error) {
	r := reader(TypeNextSegment, b)
	flags := r.U8()
	v := NextSegment{Cancel: flags&flagCancel != 0, BaseMessageID: r.U24()}
	return v, r.Finish()
}
