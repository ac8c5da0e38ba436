// Package stream is the framing of IKE and ESP in a TCP connection (RFC 9329
// section 3): a prefix, then packets, each behind its length.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Length             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                Non-ESP marker (IKE) or SPI (ESP)              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                   IKE message or rest of ESP                  ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The length counts its own two octets.
package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/internal/base/wire"
)

const (
	// Prefix is what the end that opened the connection sends first, and once
	// (RFC 9329 section 4).
	Prefix = "IKETCP"

	// MaxPacket is the size of the largest packet, in octets.
	MaxPacket = 0xffff - lengthLen

	lengthLen = 2
	markerLen = 4
)

// Kind says what a packet is.
type Kind int

// Kinds of packets.
const (
	Ignored Kind = iota // a NAT keep-alive, or too short for anything
	IKE
	ESP
)

func (k Kind) String() string {
	switch k {
	case IKE:
		return "IKE"
	case ESP:
		return "ESP"
	}
	return "ignored"
}

// ErrPrefix is a stream that does not begin with Prefix.
var ErrPrefix = errors.New("stream does not begin with IKETCP")

// AppendIKE appends an IKE message to b, behind length and non-ESP marker.
func AppendIKE(b, message []byte) ([]byte, error) {
	if len(message) > MaxPacket-markerLen {
		return b, fmt.Errorf("IKE message of %d octets, a stream carries at most %d", len(message), MaxPacket-markerLen)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(lengthLen+markerLen+len(message)))
	b = append(b, 0, 0, 0, 0)
	return append(b, message...), nil
}

// AppendESP appends an ESP packet, which begins with its SPI, to b, behind its
// length.
func AppendESP(b, packet []byte) ([]byte, error) {
	if len(packet) > MaxPacket {
		return b, fmt.Errorf("ESP packet of %d octets, a stream carries at most %d", len(packet), MaxPacket)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(lengthLen+len(packet)))
	return append(b, packet...), nil
}

// ParsePacket takes the first packet off b, length included, and returns it with
// what follows it. Both are views of b. The error is a *gotnc.DecodeError; it wraps
// ErrTruncated where b holds no whole packet yet, and ErrLength for the lengths 0
// and 1, after which a stream makes no sense any more: the connection has to be
// closed (RFC 9329 section 3).
func ParsePacket(b []byte) (packet, rest []byte, err error) {
	if len(b) < lengthLen {
		return nil, b, failed(len(b), wire.ErrTruncated)
	}
	n := int(binary.BigEndian.Uint16(b))
	switch {
	case n < lengthLen:
		return nil, b, failed(0, wire.ErrLength)
	case n > len(b):
		return nil, b, failed(len(b), wire.ErrTruncated)
	}
	return b[lengthLen:n], b[n:], nil
}

func failed(offset int, err error) error {
	return &wire.DecodeError{Element: "TCP stream", Offset: offset, Err: err}
}

// Classify says what a packet is, and returns it without the non-ESP marker.
func Classify(packet []byte) (Kind, []byte) {
	switch {
	case len(packet) <= markerLen: // a keep-alive is one octet, 0xff
		return Ignored, nil
	case binary.BigEndian.Uint32(packet) == 0:
		return IKE, packet[markerLen:]
	}
	return ESP, packet
}

// ReadPrefix reads the prefix, as the end that accepted the connection does first.
func ReadPrefix(r io.Reader) error {
	var b [len(Prefix)]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if string(b[:]) != Prefix {
		return ErrPrefix
	}
	return nil
}
