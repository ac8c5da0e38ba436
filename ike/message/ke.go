package message

import "github.com/gotnc/gotnc/internal/base/wire"

// KE is the Key Exchange payload (RFC 7296 section 3.4).
type KE struct {
	Method KEMethod
	Data   []byte
}

// Type returns TypeKE.
func (*KE) Type() PayloadType { return TypeKE }

func parseKE(r *wire.Reader) *KE {
	m := KEMethod(r.U16())
	r.U16()
	return &KE{Method: m, Data: clone(r.Rest())}
}

// AppendBody appends the method and the public value.
func (p *KE) AppendBody(b []byte) ([]byte, error) {
	return append(append(wire.AppendU16(b, uint16(p.Method)), 0, 0), p.Data...), nil
}
