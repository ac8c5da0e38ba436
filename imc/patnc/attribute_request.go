package patnc

import "github.com/gotnc/gotnc/internal/base/wire"

// AttributeRequest is the Attribute Request (RFC 5792 section 4.2.1):
//
//	n × { u8 0 | u24 vendor | u32 type }
//
// It holds at least one entry and asks neither for an Attribute Request nor for
// a PA-TNC Error.
type AttributeRequest struct{ Types []Type }

// Type returns IETF type 1.
func (AttributeRequest) Type() Type { return TypeAttributeRequest }

// AppendValue appends the value.
func (v AttributeRequest) AppendValue(b []byte) ([]byte, error) {
	for _, t := range v.Types {
		b = wire.AppendU24(append(b, 0), t.Vendor)
		b = wire.AppendU32(b, t.Type)
	}
	return b, nil
}

func parseAttributeRequest(b []byte) (Value, error) {
	r := reader(TypeAttributeRequest, b)
	start := r.Offset()
	if n := r.Len(); n == 0 || n%8 != 0 {
		r.Fail(start, wire.ErrLength)
		return nil, r.Err()
	}
	v := AttributeRequest{Types: make([]Type, 0, r.Len()/8)}
	for r.Len() > 0 {
		at := r.Offset()
		r.Skip(1)
		t := Type{Vendor: r.U24(), Type: r.U32()}
		if t == TypeAttributeRequest || t == TypeError {
			r.Fail(at, wire.ErrValue)
			return nil, r.Err()
		}
		v.Types = append(v.Types, t)
	}
	return v, r.Err()
}
