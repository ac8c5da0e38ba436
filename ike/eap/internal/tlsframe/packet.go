// Package tlsframe is the framing that EAP methods on TLS and EAP-TNC share:
// a flags octet, an optional length, and fragmentation with acknowledgements
// (RFC 5216 section 3.1, RFC 5281 section 9.1, TCG IF-T for Tunneled EAP section 4.1). It is the same for
// peer and server.
package tlsframe

import (
	"github.com/gotnc/gotnc/internal/base/wire"
)

// The flags octet.
const (
	FlagLength  = 0x80 // L: the length of the whole message follows
	FlagMore    = 0x40 // M: more fragments follow
	FlagStart   = 0x20 // S: the server's first packet
	VersionMask = 0x07
)

// Packet is the Type-Data of one EAP packet:
//
//	Flags (1) LMS00VVV  [Message Length (4)]  Data
type Packet struct {
	HasLength bool   // L
	Length    uint32 // octets of the whole message, where HasLength
	More      bool   // M
	Start     bool   // S
	Version   uint8  // 3 bits
	Data      []byte
}

// Parse decodes b; Data is a view into it. No octets at all are an empty
// packet, which some peers send as an acknowledgement.
func Parse(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, nil
	}
	r := wire.NewReader("EAP-TLS framing", b)
	flags := r.U8()
	p := Packet{
		HasLength: flags&FlagLength != 0,
		More:      flags&FlagMore != 0,
		Start:     flags&FlagStart != 0,
		Version:   flags & VersionMask,
	}
	if p.HasLength {
		p.Length = r.U32()
	}
	p.Data = r.Rest()
	if p.HasLength && uint64(p.Length) < uint64(len(p.Data)) {
		r.Fail(1, wire.ErrLength)
	}
	if err := r.Err(); err != nil {
		return Packet{}, err
	}
	return p, nil
}

// AppendBinary appends the encoded packet to b.
func (p Packet) AppendBinary(b []byte) ([]byte, error) {
	flags := p.Version & VersionMask
	if p.HasLength {
		flags |= FlagLength
	}
	if p.More {
		flags |= FlagMore
	}
	if p.Start {
		flags |= FlagStart
	}
	b = append(b, flags)
	if p.HasLength {
		b = wire.AppendU32(b, p.Length)
	}
	return append(b, p.Data...), nil
}
