package pb

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// flagExclusive asks for delivery to one collector or validator only.
const flagExclusive = 0x80

// AnyID is the Collector or Validator ID of a PB-PA message that has no known
// sender, or is for all.
const AnyID = 0xffff

// PA is a PB-PA message (RFC 5793 section 4.5): the carrier of one PA-TNC message.
//
//	0        1               4            8              10             12
//	+--------+---------------+------------+--------------+--------------+------
//	| EXCL   | PA vendor u24 | PA subtype | Collector ID | Validator ID | body
//	+--------+---------------+------------+--------------+--------------+------
type PA struct {
	Exclusive bool
	Vendor    uint32 // 24 bit
	Subtype   uint32
	Collector uint16 // IMC
	Validator uint16 // IMV
	Body      []byte // PA-TNC message
}

// MessageType returns TypePA.
func (PA) MessageType() MessageType { return TypePA }

// AppendBinary appends the message.
func (m PA) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, flagNoSkip, TypePA, func(b []byte) ([]byte, error) {
		if m.Vendor >= VendorReserved || m.Subtype == TypeReserved {
			return nil, fmt.Errorf("PA subtype 0x%06x/0x%08x is reserved: %w", m.Vendor, m.Subtype, wire.ErrValue)
		}
		var flags byte
		if m.Exclusive {
			flags = flagExclusive
		}
		b = wire.AppendU24(append(b, flags), m.Vendor)
		b = wire.AppendU32(b, m.Subtype)
		b = wire.AppendU16(b, m.Collector)
		b = wire.AppendU16(b, m.Validator)
		return append(b, m.Body...), nil
	})
}

func parsePA(r *wire.Reader) (Message, error) {
	at := r.Offset()
	m := PA{Exclusive: r.U8()&flagExclusive != 0, Vendor: r.U24(), Subtype: r.U32(), Collector: r.U16(), Validator: r.U16()}
	if m.Vendor == VendorReserved {
		r.Fail(at+1, fmt.Errorf("PA vendor 0x%06x is reserved: %w", m.Vendor, wire.ErrValue))
	}
	if m.Subtype == TypeReserved {
		r.Fail(at+4, fmt.Errorf("PA subtype 0x%08x is reserved: %w", m.Subtype, wire.ErrValue))
	}
	m.Body = bytes.Clone(r.Rest())
	return m, r.Err()
}
