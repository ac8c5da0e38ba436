// Package wire is the floor that every codec of this module stands on: a
// cursor over untrusted octets that knows its absolute position even when
// nested, and the error that says what could not be decoded and where.
//
// It depends on the standard library only.
package wire

import (
	"encoding/binary"
)

// Reader is a sticky cursor over one received message, big-endian. After the
// first failure every read returns zero values and Err returns that failure,
// so a parser reads its fields in a row and checks once. Slices that a Reader
// returns are views into the input: clone what is kept.
//
// The zero value reads an empty input at offset 0.
type Reader struct {
	b       []byte
	pos     int
	base    int
	element string
	vendor  uint32
	typ     uint32
	err     *DecodeError
}

// NewReader returns a Reader over b whose first octet has offset 0. Element
// names what is decoded, for the errors ("PB-TNC batch").
func NewReader(element string, b []byte) *Reader {
	return &Reader{b: b, element: element}
}

// NewReaderAt is NewReader for octets that start at absolute offset base of
// the message they belong to.
func NewReaderAt(element string, b []byte, base int) *Reader {
	return &Reader{b: b, base: base, element: element}
}

// Element renames what the Reader decodes, and records the vendor (a Private
// Enterprise Number, 0 for IETF) and type that its errors report.
func (r *Reader) Element(name string, vendor, typ uint32) {
	r.element, r.vendor, r.typ = name, vendor, typ
}

// Len returns the number of octets not yet read, 0 after a failure.
func (r *Reader) Len() int {
	if r.err != nil {
		return 0
	}
	return len(r.b) - r.pos
}

// Offset returns the absolute offset of the next octet.
func (r *Reader) Offset() int { return r.base + r.pos }

// Err returns the first failure, or nil. Its dynamic type is *DecodeError.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Fail records err at the absolute offset unless an earlier failure stands.
func (r *Reader) Fail(offset int, err error) {
	if r.err == nil {
		r.err = &DecodeError{Element: r.element, Vendor: r.vendor, Type: r.typ, Offset: offset, Err: err}
	}
}

// Finish returns the first failure; where there is none, octets left over are
// one (ErrTrailing).
func (r *Reader) Finish() error {
	if r.err == nil && r.pos != len(r.b) {
		r.Fail(r.Offset(), ErrTrailing)
	}
	return r.Err()
}

// Bytes returns a view of the next n octets, nil when fewer are left or n is
// negative.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b)-r.pos {
		r.Fail(r.Offset(), ErrTruncated)
		return nil
	}
	v := r.b[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return v
}

// Rest returns a view of all octets not yet read; it is empty, never nil,
// where none are left.
func (r *Reader) Rest() []byte {
	if r.err != nil {
		return nil
	}
	v := r.b[r.pos:len(r.b):len(r.b)]
	r.pos = len(r.b)
	return v
}

// Skip passes over n octets.
func (r *Reader) Skip(n int) { r.Bytes(n) }

// Sub returns a Reader over the next n octets that keeps their absolute
// offsets. Where fewer are left, both Readers fail.
func (r *Reader) Sub(element string, n int) *Reader {
	at := r.Offset()
	v := r.Bytes(n)
	s := &Reader{b: v, base: at, element: element, vendor: r.vendor, typ: r.typ, err: r.err}
	return s
}

// U8 reads one octet.
func (r *Reader) U8() uint8 {
	if v := r.Bytes(1); v != nil {
		return v[0]
	}
	return 0
}

// U16 reads two octets.
func (r *Reader) U16() uint16 {
	if v := r.Bytes(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// U24 reads three octets.
func (r *Reader) U24() uint32 {
	if v := r.Bytes(3); v != nil {
		return uint32(v[0])<<16 | uint32(v[1])<<8 | uint32(v[2])
	}
	return 0
}

// U32 reads four octets.
func (r *Reader) U32() uint32 {
	if v := r.Bytes(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// U64 reads eight octets.
func (r *Reader) U64() uint64 {
	if v := r.Bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}
