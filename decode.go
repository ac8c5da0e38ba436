package gotnc

import (
	"errors"
	"fmt"
)

// Causes of a DecodeError that every codec shares; a codec adds its own beside
// them. Test for them with errors.Is.
var (
	ErrTruncated = errors.New("message ends too early")
	ErrTrailing  = errors.New("octets left over")
	ErrTooLong   = errors.New("value does not fit its length field")
	ErrLength    = errors.New("bad length")
	ErrValue     = errors.New("value out of range")
)

// DecodeError reports what could not be decoded, and where. Every codec of this
// module returns it, as a pointer; find it with errors.As. Offset counts from the first octet
// of the outermost message that was given to the codec; PA-TNC and PB-TNC send
// it back to the peer in their Invalid Parameter errors (RFC 5792 section
// 4.2.8, RFC 5793 section 4.9.2).
type DecodeError struct {
	Element string // what was decoded: "PB-TNC batch"
	Vendor  uint32 // Private Enterprise Number of the element, 0 for IETF or where there is none
	Type    uint32 // type of the element, 0 where there is none
	Offset  int    // octets from the start of the outermost message
	Err     error  // the cause
}

func (e *DecodeError) Error() string {
	if e.Vendor != 0 || e.Type != 0 {
		return fmt.Sprintf("decode %s (%06x/%08x) at octet %d: %v", e.Element, e.Vendor, e.Type, e.Offset, e.Err)
	}
	return fmt.Sprintf("decode %s at octet %d: %v", e.Element, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
