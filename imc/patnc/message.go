package patnc

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Version is the version of PA-TNC (RFC 5792 section 3.6).
const Version = 1

// Sizes of the frames (RFC 5792 section 3.6, section 4.1).
const (
	MessageHeaderSize   = 8
	AttributeHeaderSize = 12
)

// MaxAttributes bounds the attributes that Parse takes from one message.
const MaxAttributes = 4096

const flagNoSkip = 0x80

// Value is the value of an attribute: its codec without the frame.
type Value interface {
	Type() Type
	// AppendValue appends the encoded value, without the attribute's header.
	AppendValue(b []byte) ([]byte, error)
}

// Attribute is a value in its frame (RFC 5792 section 4.1).
type Attribute struct {
	NoSkip bool // the receiver must answer an error if it does not know the type
	Value  Value
}

// Skip frames v with NOSKIP clear.
func Skip(v Value) Attribute { return Attribute{Value: v} }

// NoSkip frames v with NOSKIP set.
func NoSkip(v Value) Attribute { return Attribute{NoSkip: true, Value: v} }

// AppendBinary appends header and value.
func (a Attribute) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	t := a.Value.Type()
	var flags byte
	if a.NoSkip {
		flags = flagNoSkip
	}
	b = append(b, flags)
	b = wire.AppendU24(b, t.Vendor)
	b = wire.AppendU32(b, t.Type)
	b = wire.AppendU32(b, 0)
	b, err := a.Value.AppendValue(b)
	if err != nil {
		return b[:start], fmt.Errorf("encode PA-TNC attribute %v: %w", t, err)
	}
	if n := len(b) - start; uint64(n) > 0xFFFFFFFF {
		return b[:start], fmt.Errorf("encode PA-TNC attribute %v: %w", t, wire.ErrTooLong)
	}
	wire.PutU32At(b, start+8, uint32(len(b)-start))
	return b, nil
}

// Message is a PA-TNC message (RFC 5792 section 3.6).
type Message struct {
	ID         uint32 // random for every message sent; correlates errors
	Attributes []Attribute
}

// AppendBinary appends the encoded message.
func (m Message) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, Version, 0, 0, 0)
	b = wire.AppendU32(b, m.ID)
	for _, a := range m.Attributes {
		var err error
		if b, err = a.AppendBinary(b); err != nil {
			return b[:start], err
		}
	}
	return b, nil
}

// Entry is the codec of one attribute type, for Parse.
type Entry struct {
	// Parse decodes the octets of one value, without the attribute's header. It
	// clones what it keeps. An error that wraps a *gotnc.DecodeError says where in
	// b the value is malformed; package patnc makes that an offset of the message.
	Parse func(b []byte) (Value, error)
}

// Registry maps attribute types to their codecs. Registries are literals and
// read-only.
type Registry map[Type]Entry

// Causes of a ParseError beside those of the module's root package.
var (
	ErrHeader     = errors.New("shorter than a PA-TNC message header")
	ErrVersion    = errors.New("PA-TNC version not supported")
	ErrReserved   = errors.New("reserved attribute vendor or type")
	ErrNotSkipped = errors.New("attribute type not supported, and NOSKIP is set")
	ErrTooMany    = errors.New("too many elements")
)

// ParseError says why a message could not be decoded to its end, and answers
// the peer: Answer is the PA-TNC Error attribute to send, nil where none may
// be sent (message too short, or the faulty attribute is itself an error).
type ParseError struct {
	Answer *Error
	Err    error // usually a *gotnc.DecodeError
}

func (e *ParseError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ParseError) Unwrap() error { return e.Err }

// Parse decodes a PA-TNC message with the attribute types of this package and
// those of more. The first error ends it; the result holds the attributes
// that precede it, and the error's dynamic type is *ParseError. Unknown types with
// NOSKIP clear become Raw. A malformed PA-TNC Error attribute is left out, as
// an error is never answered by an error.
func Parse(b []byte, more ...Registry) (Message, error) {
	r := wire.NewReader("PA-TNC message", b)
	if len(b) < MessageHeaderSize {
		r.Fail(len(b), ErrHeader)
		return Message{}, &ParseError{Err: r.Err()}
	}
	var header [8]byte
	copy(header[:], b)
	version := r.U8()
	r.Skip(3)
	m := Message{ID: r.U32()}
	if version != Version {
		r.Fail(0, ErrVersion)
		return m, &ParseError{Err: r.Err(), Answer: versionNotSupported(header)}
	}
	for r.Len() > 0 {
		if len(m.Attributes) == MaxAttributes {
			r.Fail(r.Offset(), ErrTooMany)
			return m, &ParseError{Err: r.Err(), Answer: invalidParameter(header, r.Offset())}
		}
		a, answer, err := parseAttribute(r, header, more)
		if err != nil {
			return m, &ParseError{Err: err, Answer: answer}
		}
		if a.Value != nil {
			m.Attributes = append(m.Attributes, a)
		}
	}
	return m, nil
}

// parseAttribute decodes one attribute (RFC 5792 section 4.1). The zero Attribute is
// one to ignore.
func parseAttribute(r *wire.Reader, header [8]byte, more []Registry) (Attribute, *Error, error) {
	at := r.Offset()
	fail := func(offset int, cause error) (Attribute, *Error, error) {
		r.Fail(offset, cause)
		return Attribute{}, invalidParameter(header, offset), r.Err()
	}
	r.Element("PA-TNC attribute", 0, 0)
	if r.Len() < AttributeHeaderSize {
		return fail(at, wire.ErrTruncated)
	}
	flags := r.U8()
	t := Type{Vendor: r.U24(), Type: r.U32()}
	length := r.U32()
	r.Element("PA-TNC attribute", t.Vendor, t.Type)
	switch {
	case t.Vendor == VendorReserved:
		return fail(at+1, ErrReserved)
	case t.Type == TypeReserved:
		return fail(at+4, ErrReserved)
	case length < AttributeHeaderSize || uint64(length)-AttributeHeaderSize > uint64(r.Len()):
		return fail(at+8, wire.ErrLength)
	}
	noSkip := flags&flagNoSkip != 0
	start := r.Offset()
	value := r.Bytes(int(length) - AttributeHeaderSize)
	entry, known := lookup(t, more)
	if !known {
		if noSkip {
			r.Fail(at, ErrNotSkipped)
			return Attribute{}, typeNotSupported(header, flags, t), r.Err()
		}
		return Attribute{Value: Raw{T: t, Data: clone(value)}}, nil, nil
	}
	v, err := entry.Parse(value)
	if err != nil {
		if t == TypeError {
			return Attribute{}, nil, nil
		}
		err = wire.Shift(err, start)
		offset := start
		var de *wire.DecodeError
		if errors.As(err, &de) {
			offset = de.Offset
		}
		return Attribute{}, invalidParameter(header, offset), err
	}
	return Attribute{NoSkip: noSkip, Value: v}, nil, nil
}

// reader returns a cursor over the value of an attribute of type t.
func reader(t Type, b []byte) *wire.Reader {
	r := wire.NewReader("PA-TNC attribute", b)
	r.Element("PA-TNC attribute", t.Vendor, t.Type)
	return r
}

func lookup(t Type, more []Registry) (Entry, bool) {
	if e, ok := Attributes[t]; ok {
		return e, true
	}
	for _, reg := range more {
		if e, ok := reg[t]; ok {
			return e, true
		}
	}
	return Entry{}, false
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// Raw is an attribute of a type that no registry knows, kept verbatim.
type Raw struct {
	T    Type
	Data []byte
}

// Type returns the type that was received.
func (v Raw) Type() Type { return v.T }

// AppendValue appends the value as it was received.
func (v Raw) AppendValue(b []byte) ([]byte, error) { return append(b, v.Data...), nil }
