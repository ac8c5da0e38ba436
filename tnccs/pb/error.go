package pb

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// flagFatal marks an error that ends the session.
const flagFatal = 0x80

// ErrorCode is an IETF error code of PB-Error (RFC 5793 section 4.9.1).
type ErrorCode uint16

// Error codes.
const (
	CodeUnexpectedBatchType  ErrorCode = 0
	CodeInvalidParameter     ErrorCode = 1
	CodeLocalError           ErrorCode = 2
	CodeUnsupportedMandatory ErrorCode = 3
	CodeVersionNotSupported  ErrorCode = 4
)

func (c ErrorCode) String() string {
	switch c {
	case CodeUnexpectedBatchType:
		return "Unexpected Batch Type"
	case CodeInvalidParameter:
		return "Invalid Parameter"
	case CodeLocalError:
		return "Local Error"
	case CodeUnsupportedMandatory:
		return "Unsupported Mandatory Message"
	case CodeVersionNotSupported:
		return "Version Not Supported"
	}
	return fmt.Sprintf("(%d)", uint16(c))
}

// Error is a PB-Error message (RFC 5793 section 4.9).
//
//	0        1             4           6           8
//	+--------+-------------+-----------+-----------+-----------
//	| FATAL  | vendor u24  | code u16  | 0   u16   | parameters
//	+--------+-------------+-----------+-----------+-----------
type Error struct {
	Fatal  bool
	Vendor uint32 // 24 bit
	Code   ErrorCode
	// Parameters are kept as received: u32 offset for codes 1 and 3; bad, highest
	// and lowest version and 0 for code 4; strongSwan adds u32 0 to codes 0 and 2.
	Parameters []byte
}

// MessageType returns TypeError.
func (Error) MessageType() MessageType { return TypeError }

// AppendBinary appends the message.
func (m Error) AppendBinary(b []byte) ([]byte, error) {
	return appendMessage(b, flagNoSkip, TypeError, func(b []byte) ([]byte, error) {
		var flags byte
		if m.Fatal {
			flags = flagFatal
		}
		b = wire.AppendU24(append(b, flags), m.Vendor)
		b = wire.AppendU16(wire.AppendU16(b, uint16(m.Code)), 0)
		return append(b, m.Parameters...), nil
	})
}

// Offset returns the offset in the offending batch that codes 1 and 3 carry.
func (m Error) Offset() (offset uint32, ok bool) {
	if m.Vendor != VendorIETF || m.Code != CodeInvalidParameter && m.Code != CodeUnsupportedMandatory || len(m.Parameters) != 4 {
		return 0, false
	}
	return wire.NewReader("PB-Error", m.Parameters).U32(), true
}

func parseError(r *wire.Reader) (Message, error) {
	m := Error{Fatal: r.U8()&flagFatal != 0, Vendor: r.U24(), Code: ErrorCode(r.U16())}
	r.Skip(2)
	m.Parameters = bytes.Clone(r.Rest())
	return m, r.Err()
}

// ProtocolError is an error that this end found in a batch. It is fatal unless
// NonFatal is set, which RFC 5793 section 4.9.1 allows for Invalid Parameter.
type ProtocolError struct {
	Code       ErrorCode
	Offset     uint32 // codes 1 and 3: octets from the start of the batch
	BadVersion uint8  // code 4
	NonFatal   bool   // code 1: the session goes on
	Err        error  // the cause
}

func invalid(offset int, err error) *ProtocolError {
	return &ProtocolError{Code: CodeInvalidParameter, Offset: uint32(offset), Err: err}
}

func (e *ProtocolError) Error() string {
	s := "PB-TNC error '" + e.Code.String() + "'"
	if e.Code == CodeInvalidParameter || e.Code == CodeUnsupportedMandatory {
		s += fmt.Sprintf(" at octet %d", e.Offset)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// Message returns the PB-Error to send.
func (e *ProtocolError) Message() Error {
	m := Error{Fatal: !e.NonFatal, Vendor: VendorIETF, Code: e.Code}
	switch e.Code {
	case CodeInvalidParameter, CodeUnsupportedMandatory:
		m.Parameters = wire.AppendU32(nil, e.Offset)
	case CodeVersionNotSupported:
		m.Parameters = []byte{e.BadVersion, Version, Version, 0}
	}
	return m
}

// PeerError is a PB-Error that the peer sent.
type PeerError struct {
	Received Error
	About    *MessageType // type of the sent message that it points at; nil: not known
}

// Error returns the text that strongSwan logs, with the name of the message.
func (e *PeerError) Error() string {
	kind := "non-fatal"
	if e.Received.Fatal {
		kind = "fatal"
	}
	m := e.Received
	if m.Vendor != VendorIETF {
		return fmt.Sprintf("received %s PB-TNC error (%d) with Vendor ID 0x%06x", kind, uint16(m.Code), m.Vendor)
	}
	s := fmt.Sprintf("received %s PB-TNC error '%s'", kind, m.Code)
	if o, ok := m.Offset(); ok {
		s += fmt.Sprintf(" (offset %d bytes)", o)
		if e.About != nil {
			s += fmt.Sprintf(" about our %s message", e.About)
		}
		return s
	}
	if m.Code == CodeVersionNotSupported && len(m.Parameters) == 4 {
		return s + fmt.Sprintf(" caused by bad version 0x%02x", m.Parameters[0])
	}
	return s
}
