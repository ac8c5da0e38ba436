package message

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// HeaderSize is the size of the IKE header in octets.
const HeaderSize = 28

// Version is the version octet of IKEv2: major 2, minor 0.
const Version uint8 = 0x20

// ErrMajorVersion is the cause where a message is of another major version
// than 2; a responder answers N(INVALID_MAJOR_VERSION).
var ErrMajorVersion = errors.New("major version is not 2")

// SPI identifies one side of an IKE SA; 0 means "not known yet".
type SPI uint64

func (s SPI) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// Bytes returns the eight octets of s.
func (s SPI) Bytes() []byte { return wire.AppendU64(nil, uint64(s)) }

// Header is the IKE header (RFC 7296 section 3.1):
//
//	SPI i (8) | SPI r (8) | next (1) | version (1) | exchange (1) | flags (1) | message ID (4) | length (4)
type Header struct {
	SPIi, SPIr  SPI
	NextPayload PayloadType  // set by Message.AppendBinary
	Version     uint8        // 0 is written as 2.0
	Exchange    ExchangeType // IKE_SA_INIT, …
	Flags       Flags
	MessageID   uint32
	Length      uint32 // octets of the whole message; set by Message.AppendBinary
}

// IsResponse reports whether the response flag is set.
func (h Header) IsResponse() bool { return h.Flags&FlagResponse != 0 }

// FromInitiator reports whether the sender is the original initiator.
func (h Header) FromInitiator() bool { return h.Flags&FlagInitiator != 0 }

// ParseHeader decodes the header at the start of b. It does not compare the
// length field with len(b). Where the major version is not 2 the header is
// returned beside an error that wraps ErrMajorVersion.
func ParseHeader(b []byte) (Header, error) {
	r := wire.NewReader("IKE header", b)
	h := readHeader(r)
	return h, r.Err()
}

func readHeader(r *wire.Reader) Header {
	h := Header{SPIi: SPI(r.U64()), SPIr: SPI(r.U64()), NextPayload: PayloadType(r.U8())}
	at := r.Offset()
	h.Version = r.U8()
	h.Exchange = ExchangeType(r.U8())
	h.Flags = Flags(r.U8())
	h.MessageID = r.U32()
	h.Length = r.U32()
	if r.Err() == nil && h.Version>>4 != Version>>4 {
		r.Fail(at, ErrMajorVersion)
	}
	return h
}

// AppendBinary appends the 28 octets of h to b.
func (h Header) AppendBinary(b []byte) ([]byte, error) {
	v := h.Version
	if v == 0 {
		v = Version
	}
	b = wire.AppendU64(b, uint64(h.SPIi))
	b = wire.AppendU64(b, uint64(h.SPIr))
	b = append(b, byte(h.NextPayload), v, byte(h.Exchange), byte(h.Flags))
	b = wire.AppendU32(b, h.MessageID)
	return wire.AppendU32(b, h.Length), nil
}

// String is what strongSwan logs of a header: "IKE_AUTH request 1".
func (h Header) String() string {
	kind := "request"
	if h.IsResponse() {
		kind = "response"
	}
	return fmt.Sprintf("%s %s %d", h.Exchange, kind, h.MessageID)
}
