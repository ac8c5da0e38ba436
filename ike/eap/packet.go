package eap

import (
	"errors"
	"fmt"
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

const (
	headerLen   = 4  // Code, Identifier, Length
	expandedLen = 8  // 254, Vendor-Id, Vendor-Type
	naksMax     = 64 // types read from one Nak
)

var (
	errCode   = errors.New("unknown EAP code")
	errNoType = errors.New("EAP request or response without a type")
)

// Packet is one EAP packet (RFC 3748 section 4):
//
//	Code (1)  Identifier (1)  Length (2)  Type (1)  Type-Data
//
// Success and Failure have neither Type nor Data.
type Packet struct {
	Code Code
	ID   uint8
	Type Type
	// Expanded keeps the form in which a legacy type was written (RFC 3748
	// section 5.7); types of vendors always have the expanded form.
	Expanded bool
	Data     []byte // Type-Data, without the expanded header
}

// Parse decodes the packet at the start of b. Octets beyond the Length field
// are ignored (RFC 3748 section 4.1). Data is a view into b.
func Parse(b []byte) (Packet, error) {
	r := wire.NewReader("EAP packet", b)
	p := Packet{Code: Code(r.U8()), ID: r.U8()}
	n := int(r.U16())
	if r.Err() != nil {
		return Packet{}, r.Err()
	}
	if n < headerLen {
		r.Fail(2, wire.ErrLength)
		return Packet{}, r.Err()
	}
	body := r.Sub("EAP packet", n-headerLen)
	switch p.Code {
	case CodeSuccess, CodeFailure:
	case CodeRequest, CodeResponse:
		if r.Err() == nil && body.Len() == 0 {
			r.Fail(2, errNoType)
			return Packet{}, r.Err()
		}
		p.Type = Type(body.U8())
		if p.Type == TypeExpanded {
			p.Expanded = true
			vendor := body.U24()
			p.Type = Expanded(vendor, body.U32())
		}
		p.Data = body.Rest()
	default:
		r.Fail(0, errCode)
	}
	if err := r.Err(); err != nil {
		return Packet{}, err
	}
	if err := body.Err(); err != nil {
		return Packet{}, err
	}
	return p, nil
}

// Len returns the number of octets that AppendBinary appends.
func (p Packet) Len() int {
	switch {
	case p.Code == CodeSuccess || p.Code == CodeFailure:
		return headerLen
	case p.Expanded || !p.Type.legacy():
		return headerLen + expandedLen + len(p.Data)
	}
	return headerLen + 1 + len(p.Data)
}

// AppendBinary appends the encoded packet to b; wire.ErrTooLong where it does
// not fit the Length field.
func (p Packet) AppendBinary(b []byte) ([]byte, error) {
	n := p.Len()
	if n > math.MaxUint16 {
		return b, fmt.Errorf("encode EAP packet of %d octets: %w", n, wire.ErrTooLong)
	}
	b = append(b, byte(p.Code), p.ID)
	b = wire.AppendU16(b, uint16(n))
	if p.Code == CodeSuccess || p.Code == CodeFailure {
		return b, nil
	}
	if p.Expanded || !p.Type.legacy() {
		b = append(b, byte(TypeExpanded))
		b = wire.AppendU24(b, p.Type.Vendor())
		b = wire.AppendU32(b, p.Type.Number())
	} else {
		b = append(b, byte(p.Type))
	}
	return append(b, p.Data...), nil
}

// String returns the packet as strongSwan's ENC lines show it: "EAP/REQ/TTLS".
func (p Packet) String() string {
	if p.Code == CodeSuccess || p.Code == CodeFailure {
		return "EAP/" + p.Code.String()
	}
	return "EAP/" + p.Code.String() + "/" + p.Type.Short()
}

// NakTypes returns the types that a Nak or Expanded Nak (RFC 3748 section 5.3) asks
// for; none when the peer accepts no other type. At most 64 are read.
func (p Packet) NakTypes() ([]Type, error) {
	if p.Code != CodeResponse || p.Type != TypeNak {
		return nil, fmt.Errorf("read EAP-Nak: packet is %s", p)
	}
	r := wire.NewReader("EAP-Nak", p.Data)
	var types []Type
	for r.Len() > 0 && len(types) < naksMax {
		t := Type(r.U8())
		if p.Expanded {
			vendor := r.U24()
			t = Expanded(vendor, r.U32())
		}
		if r.Err() == nil && t != TypeNone {
			types = append(types, t)
		}
	}
	return types, r.Err()
}

// nak answers req with the types on offer (RFC 3748 sections 5.3.1 and 5.3.2).
func nak(req Packet, offers []Type) Packet {
	p := Packet{Code: CodeResponse, ID: req.ID, Type: TypeNak}
	if req.Expanded {
		p.Expanded = true
		for _, t := range offers {
			p.Data = append(p.Data, byte(TypeExpanded))
			p.Data = wire.AppendU24(p.Data, t.Vendor())
			p.Data = wire.AppendU32(p.Data, t.Number())
		}
		if len(offers) == 0 {
			p.Data = []byte{byte(TypeExpanded), 0, 0, 0, 0, 0, 0, 0}
		}
		return p
	}
	expanded := false
	for _, t := range offers {
		if t.legacy() {
			p.Data = append(p.Data, byte(t))
		} else {
			expanded = true
		}
	}
	if expanded {
		p.Data = append(p.Data, byte(TypeExpanded))
	}
	if len(p.Data) == 0 {
		p.Data = []byte{byte(TypeNone)}
	}
	return p
}
