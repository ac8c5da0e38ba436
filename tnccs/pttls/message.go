package pttls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Sizes, limits and numbers of RFC 6876.
const (
	Version     = 1   // the only protocol version (RFC 6876 section 3.5)
	DefaultPort = 271 // TCP (RFC 6876 section 6.1)
	HeaderSize  = 16  // octets of a message header (RFC 6876 section 3.5)

	// MaxMessageSize is the longest message that is read or written, in octets:
	// what strongSwan builds at most.
	MaxMessageSize = 128 * 16384
	// MaxBatch is the largest PB-TNC batch of a message, in octets.
	MaxBatch = MaxMessageSize - HeaderSize

	maxNegotiation = 64 << 10 // octets of a message before the data transport phase

	vendorReserved = 0xFFFFFF
	typeReserved   = math.MaxUint32
)

// Type is the type of a message in the IETF's name space, vendor 0 (RFC 6876 section 3.6).
type Type uint32

// Message types.
const (
	TypeExperimental       Type = 0
	TypeVersionRequest     Type = 1
	TypeVersionResponse    Type = 2
	TypeSASLMechanisms     Type = 3
	TypeSASLSelection      Type = 4
	TypeSASLAuthentication Type = 5
	TypeSASLResult         Type = 6
	TypeBatch              Type = 7
	TypeError              Type = 8
)

var typeNames = [...]string{
	TypeExperimental:       "Experimental",
	TypeVersionRequest:     "Version Request",
	TypeVersionResponse:    "Version Response",
	TypeSASLMechanisms:     "SASL Mechanisms",
	TypeSASLSelection:      "SASL Mechanism Selection",
	TypeSASLAuthentication: "SASL Authentication Data",
	TypeSASLResult:         "SASL Result",
	TypeBatch:              "PB-TNC Batch",
	TypeError:              "PT-TLS Error",
}

func (t Type) String() string {
	if int64(t) < int64(len(typeNames)) {
		return typeNames[t]
	}
	return fmt.Sprintf("0x%08x", uint32(t))
}

// Message is one PT-TLS message (RFC 6876 section 3.5).
//
//	0        1             4          8            12            16
//	+--------+-------------+----------+------------+-------------+-------
//	| 0      | Vendor u24  | Type u32 | Length u32 | Ident u32   | Value
//	+--------+-------------+----------+------------+-------------+-------
type Message struct {
	Vendor uint32 // Private Enterprise Number, 24 bit; 0: the types above
	Type   Type
	ID     uint32 // counts the messages of its sender, from 0
	Value  []byte
}

// Is reports whether m is the IETF message of type t.
func (m Message) Is(t Type) bool { return m.Vendor == 0 && m.Type == t }

// Name names the type for a log.
func (m Message) Name() string {
	if m.Vendor == 0 {
		return m.Type.String()
	}
	return fmt.Sprintf("0x%06x/0x%08x", m.Vendor, uint32(m.Type))
}

// AppendBinary encodes m.
func (m Message) AppendBinary(b []byte) ([]byte, error) {
	if m.Vendor > vendorReserved || len(m.Value) > MaxBatch {
		return b, fmt.Errorf("encode PT-TLS message %s of %d octets: %w", m.Name(), len(m.Value), wire.ErrTooLong)
	}
	b = append(b, 0)
	b = wire.AppendU24(b, m.Vendor)
	b = wire.AppendU32(b, uint32(m.Type))
	b = wire.AppendU32(b, uint32(HeaderSize+len(m.Value)))
	b = wire.AppendU32(b, m.ID)
	return append(b, m.Value...), nil
}

// parseHeader reads a header and returns the length of the value. limit is the
// longest message, in octets. An error is a *ProtocolError.
func parseHeader(h []byte, limit int) (m Message, value int, err error) {
	r := wire.NewReader("PT-TLS message", h)
	r.U8() // reserved: ignored on receipt
	m.Vendor, m.Type = r.U24(), Type(r.U32())
	length := r.U32()
	m.ID = r.U32()
	bad := func(at int, cause error) error {
		return protocolError(CodeInvalidParameter, h, &wire.DecodeError{Element: "PT-TLS message", Vendor: m.Vendor, Type: uint32(m.Type), Offset: at, Err: cause})
	}
	switch {
	case r.Err() != nil:
		return m, 0, protocolError(CodeMalformed, h, r.Err())
	case m.Vendor == vendorReserved:
		err = bad(1, fmt.Errorf("%w: vendor 0xffffff is reserved", wire.ErrValue))
	case m.Type == typeReserved:
		err = bad(4, fmt.Errorf("%w: type 0xffffffff is reserved", wire.ErrValue))
	case length < HeaderSize:
		err = bad(8, fmt.Errorf("%w: %d octets are less than the header", wire.ErrLength, length))
	case uint64(length) > uint64(limit):
		err = bad(8, fmt.Errorf("%w: %d octets, at most %d are taken here", wire.ErrLength, length, limit))
	}
	return m, int(length) - HeaderSize, err
}

// ParseMessage decodes one whole message. Its value is a copy. Errors about
// what the header says are *ProtocolError.
func ParseMessage(b []byte) (Message, error) {
	m, n, err := parseHeader(b[:min(len(b), HeaderSize)], MaxMessageSize)
	if err != nil {
		return Message{}, err
	}
	if n != len(b)-HeaderSize {
		return Message{}, protocolError(CodeInvalidParameter, b, &wire.DecodeError{Element: "PT-TLS message", Type: uint32(m.Type), Offset: 8, Err: wire.ErrLength})
	}
	m.Value = bytes.Clone(b[HeaderSize:])
	return m, nil
}

// ReadMessage reads the next message of at most limit octets from a stream.
// Memory grows with what arrives, not with what the header promises. At the end
// of the stream between two messages the error is io.EOF.
func ReadMessage(r io.Reader, limit int) (Message, error) {
	var head [HeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Message{}, err
	}
	m, n, err := parseHeader(head[:], min(limit, MaxMessageSize))
	if err != nil {
		return Message{}, err
	}
	if n <= 16<<10 {
		m.Value = make([]byte, n)
		_, err = io.ReadFull(r, m.Value)
	} else {
		var buf bytes.Buffer
		_, err = io.CopyN(&buf, r, int64(n))
		m.Value = buf.Bytes()
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// appendHeader encodes the header of m alone, for copies in error messages.
func (m Message) appendHeader(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, m.Vendor&vendorReserved)
	b = wire.AppendU32(b, uint32(m.Type))
	b = wire.AppendU32(b, uint32(HeaderSize+len(m.Value)))
	return wire.AppendU32(b, m.ID)
}
