package pttls

import (
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Code is an error code of the IETF's name space (RFC 6876 section 3.9).
type Code uint32

// Error codes.
const (
	CodeReserved            Code = 0 // for debugging; ignored
	CodeMalformed           Code = 1
	CodeVersionNotSupported Code = 2
	CodeTypeNotSupported    Code = 3 // not fatal
	CodeInvalidMessage      Code = 4 // not in this phase
	CodeSASLMechanism       Code = 5
	CodeInvalidParameter    Code = 6
)

var codeNames = [...]string{
	CodeReserved:            "Reserved",
	CodeMalformed:           "Malformed Message",
	CodeVersionNotSupported: "Version Not Supported",
	CodeTypeNotSupported:    "Type Not Supported",
	CodeInvalidMessage:      "Invalid Message",
	CodeSASLMechanism:       "SASL Mechanism Error",
	CodeInvalidParameter:    "Invalid Parameter",
}

func (c Code) String() string {
	if int64(c) < int64(len(codeNames)) {
		return codeNames[c]
	}
	return fmt.Sprintf("error %d", uint32(c))
}

const (
	errorHeader = 8    // octets before the copy
	maxCopy     = 1024 // octets of the copy
)

// Error is the value of a PT-TLS Error message (RFC 6876 section 3.9).
//
//	0        1             4           8
//	+--------+-------------+-----------+----------------------------------
//	| 0      | Vendor u24  | Code u32  | copy of the message, ≤ 1024 octets
//	+--------+-------------+-----------+----------------------------------
type Error struct {
	Vendor uint32 // Private Enterprise Number; 0: the codes above
	Code   Code
	Copy   []byte // the message that the error is about, from its header on
}

// Fatal reports whether the error ends the connection.
func (e Error) Fatal() bool {
	return e.Vendor != 0 || e.Code != CodeReserved && e.Code != CodeTypeNotSupported
}

// ID returns the identifier of the message that the error is about.
func (e Error) ID() (id uint32, ok bool) {
	if len(e.Copy) < HeaderSize {
		return 0, false
	}
	return binary.BigEndian.Uint32(e.Copy[12:]), true
}

func (e Error) String() string {
	if e.Vendor != 0 {
		return fmt.Sprintf("0x%06x/0x%08x", e.Vendor, uint32(e.Code))
	}
	return e.Code.String()
}

// AppendBinary encodes e; of the copy at most 1,024 octets.
func (e Error) AppendBinary(b []byte) ([]byte, error) {
	if e.Vendor >= vendorReserved {
		return b, fmt.Errorf("encode PT-TLS error: %w", wire.ErrValue)
	}
	b = append(b, 0)
	b = wire.AppendU24(b, e.Vendor)
	b = wire.AppendU32(b, uint32(e.Code))
	return append(b, e.Copy[:min(len(e.Copy), maxCopy)]...), nil
}

// ParseError decodes the value of a PT-TLS Error message. A copy that is longer
// than 1,024 octets is cut.
func ParseError(value []byte) (Error, error) {
	r := wire.NewReader("PT-TLS Error", value)
	r.U8()
	e := Error{Vendor: r.U24(), Code: Code(r.U32())}
	if e.Vendor == vendorReserved {
		r.Fail(1, fmt.Errorf("vendor 0xffffff is reserved: %w", wire.ErrValue))
	}
	c := r.Rest()
	e.Copy = append([]byte{}, c[:min(len(c), maxCopy)]...)
	if err := r.Finish(); err != nil {
		return Error{}, err
	}
	return e, nil
}

// ProtocolError is what this end found wrong: Report goes to the peer.
type ProtocolError struct {
	Code   Code
	Report Error
	Err    error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("the PT-TLS server broke the protocol (%s): %v", e.Code, e.Err)
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// protocolError reports on a message, of which about holds at least the header
// where that could be read.
func protocolError(c Code, about []byte, err error) *ProtocolError {
	return &ProtocolError{Code: c, Err: err, Report: Error{Code: c, Copy: append([]byte{}, about[:min(len(about), maxCopy)]...)}}
}

// refuse reports on a message that was decoded.
func refuse(c Code, m Message, err error) *ProtocolError {
	about := append(m.appendHeader(nil), m.Value[:min(len(m.Value), maxCopy-HeaderSize)]...)
	return protocolError(c, about, err)
}

// PeerError is a fatal error that the server reported.
type PeerError struct{ Received Error }

func (e *PeerError) Error() string {
	return fmt.Sprintf("the PT-TLS server reports the error '%s'", e.Received)
}
