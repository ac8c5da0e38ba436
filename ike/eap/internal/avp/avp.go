// Package avp is the content of the tunnel of EAP-TTLS: attribute-value pairs
// (RFC 5281 section 10) and the EAP packets in them. Peer and server share it.
package avp

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

const (
	// CodeEAPMessage is the AVP of an EAP packet (RFC 5281 section 11.2.1).
	CodeEAPMessage = 79

	flagVendor    = 0x80
	flagMandatory = 0x40

	headerLen       = 8
	vendorHeaderLen = 12
	lengthMax       = 1<<24 - 1
	// bufferMax limits AVPs that are received in parts, in octets: an EAP
	// packet of the largest size, cut RADIUS style into AVPs of 253 octets.
	bufferMax = 72 * 1024
)

var (
	errMandatory = errors.New("server demands an attribute that is not supported")
	errBuffer    = errors.New("attributes exceed the limit")
	errTwo       = errors.New("more than one EAP packet at a time")
)

// AVP is one attribute-value pair (RFC 5281 section 10.1):
//
//	Code (4)  Flags (1) VM000000  Length (3)  [Vendor (4)]  Data  padding to 4
type AVP struct {
	Code      uint32
	Vendor    uint32 // 0: no vendor field
	HasVendor bool   // the vendor field is there even where Vendor is 0
	Mandatory bool
	Data      []byte
}

// Parse decodes the AVP at the start of b and returns the octets after it and
// its padding, which may be missing at the end of b. Data is a view into b.
func Parse(b []byte) (a AVP, rest []byte, err error) {
	r := wire.NewReader("EAP-TTLS AVP", b)
	if a, err = parse(r); err != nil {
		return AVP{}, nil, err
	}
	return a, r.Rest(), nil
}

func parse(r *wire.Reader) (AVP, error) {
	at := r.Offset()
	a := AVP{Code: r.U32()}
	flags := r.U8()
	a.Mandatory = flags&flagMandatory != 0
	a.HasVendor = flags&flagVendor != 0
	n := int(r.U24())
	header := headerLen
	if a.HasVendor {
		header = vendorHeaderLen
		a.Vendor = r.U32()
	}
	if n < header {
		r.Fail(at+5, wire.ErrLength)
	}
	a.Data = r.Bytes(n - header)
	if pad := -n & 3; r.Len() > 0 {
		r.Skip(min(pad, r.Len()))
	}
	if err := r.Err(); err != nil {
		return AVP{}, err
	}
	return a, nil
}

// AppendBinary appends the encoded AVP and its padding to b.
func (a AVP) AppendBinary(b []byte) ([]byte, error) {
	n, flags := headerLen+len(a.Data), byte(0)
	vendor := a.HasVendor || a.Vendor != 0
	if vendor {
		n, flags = vendorHeaderLen+len(a.Data), flagVendor
	}
	if a.Mandatory {
		flags |= flagMandatory
	}
	if n > lengthMax {
		return b, fmt.Errorf("encode AVP of %d octets: %w", n, wire.ErrTooLong)
	}
	b = wire.AppendU24(append(wire.AppendU32(b, a.Code), flags), uint32(n))
	if vendor {
		b = wire.AppendU32(b, a.Vendor)
	}
	b = append(b, a.Data...)
	return append(b, make([]byte, -n&3)...), nil
}

// AppendEAP appends the AVP that carries one EAP packet to b.
func AppendEAP(b, packet []byte) ([]byte, error) {
	return AVP{Code: CodeEAPMessage, Mandatory: true, Data: packet}.AppendBinary(b)
}

// Stream collects AVPs from TLS application data, whose records cut them
// anywhere, and EAP packets from AVPs. The zero value is ready to use.
type Stream struct {
	buf []byte // AVPs not yet complete
	eap []byte // data of EAP-Message AVPs, not yet a packet
	pad int    // octets of padding that the last AVP may still be followed by
}

// Push adds application data and returns the EAP packet that it completes,
// or nil. The packet is the caller's.
func (s *Stream) Push(app []byte) ([]byte, error) {
	if len(app) > bufferMax-len(s.buf) {
		return nil, fmt.Errorf("receive %d octets: %w", len(app), errBuffer)
	}
	s.buf = append(s.buf, app...)
	s.skipPadding()
	for {
		size, ok := sizeOf(s.buf)
		if !ok || len(s.buf) < size {
			break
		}
		padded := min((size+3)&^3, len(s.buf))
		a, _, err := Parse(s.buf[:padded])
		if err != nil {
			return nil, err
		}
		switch {
		case a.Code == CodeEAPMessage && a.Vendor == 0:
			if len(a.Data) > bufferMax-len(s.eap) {
				return nil, fmt.Errorf("receive EAP packet: %w", errBuffer)
			}
			s.eap = append(s.eap, a.Data...)
		case a.Mandatory:
			// "If the M bit is set and the receiver does not support the AVP, it
			// MUST fail the negotiation" (RFC 5281 section 10.1).
			return nil, fmt.Errorf("receive AVP %d of vendor %d: %w", a.Code, a.Vendor, errMandatory)
		}
		s.buf = s.buf[padded:]
		s.pad = (size+3)&^3 - padded
	}
	if size, ok := sizeOf(s.buf); ok && size > bufferMax {
		return nil, fmt.Errorf("receive AVP of %d octets: %w", size, errBuffer)
	}
	return s.packet()
}

// skipPadding drops padding that comes later than its AVP. Some senders leave
// the last padding out: a code of EAP-Message, which starts with zeros too, is
// the next AVP.
func (s *Stream) skipPadding() {
	if len(s.buf) >= 4 && s.buf[0]|s.buf[1]|s.buf[2] == 0 && s.buf[3] == CodeEAPMessage {
		s.pad = 0
	}
	for s.pad > 0 && len(s.buf) > 0 && s.buf[0] == 0 {
		s.buf = s.buf[1:]
		s.pad--
	}
	if len(s.buf) > 0 {
		s.pad = 0
	}
}

// packet removes a complete EAP packet from the collected data and returns it. Octets behind it
// that are not another packet are padding of its sender.
func (s *Stream) packet() ([]byte, error) {
	if len(s.eap) < 4 {
		return nil, nil
	}
	n := int(s.eap[2])<<8 | int(s.eap[3])
	if n < 4 {
		return nil, fmt.Errorf("receive EAP packet of %d octets: %w", n, wire.ErrLength)
	}
	if len(s.eap) < n {
		return nil, nil
	}
	p, rest := s.eap[:n:n], s.eap[n:]
	for _, b := range rest {
		if b != 0 {
			return nil, fmt.Errorf("receive EAP packet: %w", errTwo)
		}
	}
	s.eap = nil
	return p, nil
}

// Idle reports whether nothing is half received.
func (s *Stream) Idle() bool { return len(s.buf) == 0 && len(s.eap) == 0 }

// sizeOf returns the Length field of the AVP at the start of b; at least a
// header's, so that a bad one reaches the parser.
func sizeOf(b []byte) (int, bool) {
	if len(b) < headerLen {
		return 0, false
	}
	return max(int(b[5])<<16|int(b[6])<<8|int(b[7]), headerLen), true
}
