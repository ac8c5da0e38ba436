package esp

import (
	"encoding/binary"
	"errors"
)

// ClassCopy says which parts of the traffic class of an IP header (IPv4's octet "type
// of service": DSCP and ECN) pass between the inner and the outer header. The zero
// value copies nothing.
type ClassCopy struct {
	DSCPOut bool // from the inner to the outer header of what is sent
	DSCPIn  bool // from the outer to the inner header of what is received
	ECN     bool // both ways, as RFC 6040 has it
}

// ErrCongested drops a packet that a router marked as having met congestion, where
// what it carries cannot be marked (RFC 6040 section 4.2).
var ErrCongested = errors.New("the outer header has ECN CE and the inner one no ECN")

// Values of ECN (RFC 3168 section 5).
const (
	ecnMask = 3
	notECT  = 0
	ect1    = 1
	ect0    = 2
	ecnCE   = 3
)

// class returns the traffic class of an IP packet; 0 of what is too short.
func class(packet []byte) byte {
	switch {
	case len(packet) < 2:
		return 0
	case packet[0]>>4 == 4:
		return packet[1]
	}
	return packet[0]<<4 | packet[1]>>4
}

// setClass changes the traffic class of an IP packet, and the checksum of IPv4.
func setClass(packet []byte, c byte) {
	if packet[0]>>4 != 4 {
		packet[0], packet[1] = packet[0]&0xf0|c>>4, packet[1]&0x0f|c<<4
		return
	}
	// The checksum of the change (RFC 1624).
	sum := uint32(^binary.BigEndian.Uint16(packet[10:])) + uint32(^uint16(packet[1])) + uint32(c)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	packet[1] = c
	binary.BigEndian.PutUint16(packet[10:], ^uint16(sum))
}

// ecnReceived returns the ECN of an inner header whose outer one had another; false
// where the packet is dropped (RFC 6040 section 4.2, figure 4).
func ecnReceived(inner, outer byte) (byte, bool) {
	switch {
	case inner == ecnCE:
		return ecnCE, true
	case outer == ecnCE:
		return ecnCE, inner != notECT
	case inner == ect0 && outer == ect1:
		return ect1, true
	}
	return inner, true
}

// CopyClass sets what passes between the headers. It comes before the first packet.
func (s *SA) CopyClass(c ClassCopy) { s.copies = c }

// OuterClass returns the traffic class of the outer header for an IP packet that is
// sent.
func (s *SA) OuterClass(packet []byte) (outer byte) {
	c := class(packet)
	if s.copies.DSCPOut {
		outer |= c &^ ecnMask
	}
	if s.copies.ECN {
		outer |= c & ecnMask
	}
	return outer
}

// ReceiveClass gives the IP packet that Open returned what it takes of the traffic
// class of its outer header. It fails with ErrCongested where the packet is to be
// dropped, which counts.
func (s *SA) ReceiveClass(packet []byte, outer byte) error {
	before := class(packet)
	c := before
	if s.copies.DSCPIn {
		c = c&ecnMask | outer&^ecnMask
	}
	if s.copies.ECN {
		ecn, ok := ecnReceived(c&ecnMask, outer&ecnMask)
		if !ok {
			s.counters.undo(len(packet))
			s.counters.drop(ErrCongested)
			return ErrCongested
		}
		c = c&^ecnMask | ecn
	}
	if c != before {
		setClass(packet, c)
	}
	return nil
}
