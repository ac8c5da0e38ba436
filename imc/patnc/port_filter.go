package patnc

import "github.com/gotnc/gotnc/internal/base/wire"

// Port is one entry of a PortFilter.
type Port struct {
	Blocked  bool
	Protocol uint8 // IP protocol number
	Port     uint16
}

// PortFilter is the Port Filter (RFC 5792 section 4.2.6):
//
//	n × { u8, bit 0 = blocked | u8 protocol | u16 port }
type PortFilter struct{ Ports []Port }

// Type returns IETF type 6.
func (PortFilter) Type() Type { return TypePortFilter }

// AppendValue appends the value.
func (v PortFilter) AppendValue(b []byte) ([]byte, error) {
	for _, p := range v.Ports {
		var blocked byte
		if p.Blocked {
			blocked = 1
		}
		b = wire.AppendU16(append(b, blocked, p.Protocol), p.Port)
	}
	return b, nil
}

func parsePortFilter(b []byte) (Value, error) {
	r := reader(TypePortFilter, b)
	if r.Len()%4 != 0 {
		r.Fail(r.Offset(), wire.ErrLength)
		return nil, r.Err()
	}
	v := PortFilter{Ports: make([]Port, 0, r.Len()/4)}
	for r.Len() > 0 {
		v.Ports = append(v.Ports, Port{Blocked: r.U8()&1 != 0, Protocol: r.U8(), Port: r.U16()})
	}
	return v, r.Err()
}
