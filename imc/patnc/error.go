package patnc

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// IETF error codes (RFC 5792 section 4.2.8).
const (
	ErrorInvalidParameter     uint32 = 1
	ErrorVersionNotSupported  uint32 = 2
	ErrorTypeNotSupported     uint32 = 3
	ErrorSWIMA                uint32 = 4
	ErrorSubscriptionDenied   uint32 = 5
	ErrorResponseTooLarge     uint32 = 6
	ErrorFulfillment          uint32 = 7
	ErrorSubscriptionIDReused uint32 = 8
)

// MaxErrorInfo is what strongSwan keeps of the information of an error of
// another vendor; longer information is cut when it is sent.
const MaxErrorInfo = 1024

// Error is the PA-TNC Error attribute (RFC 5792 section 4.2.8):
//
//	u8 0 | u24 error vendor | u32 error code | information
//
// It is an error that was or will be on the wire, not a Go error.
type Error struct {
	Vendor uint32
	Code   uint32
	Info   []byte // for IETF codes 1 to 3 it begins with the first 8 octets of the faulty message
}

func invalidParameter(header [8]byte, offset int) *Error {
	return &Error{Vendor: VendorIETF, Code: ErrorInvalidParameter,
		Info: wire.AppendU32(clone(header[:]), uint32(offset))}
}

func versionNotSupported(header [8]byte) *Error {
	return &Error{Vendor: VendorIETF, Code: ErrorVersionNotSupported,
		Info: append(clone(header[:]), Version, Version, 0, 0)}
}

func typeNotSupported(header [8]byte, flags byte, t Type) *Error {
	info := append(clone(header[:]), flags)
	info = wire.AppendU24(info, t.Vendor)
	return &Error{Vendor: VendorIETF, Code: ErrorTypeNotSupported, Info: wire.AppendU32(info, t.Type)}
}

// InvalidParameter returns the error for the octet at offset of the message
// that began with header; see Message.Header.
func InvalidParameter(header [8]byte, offset int) Error { return *invalidParameter(header, offset) }

// TypeNotSupported returns the error for an attribute that the receiver may
// not skip.
func TypeNotSupported(header [8]byte, noSkip bool, t Type) Error {
	var flags byte
	if noSkip {
		flags = flagNoSkip
	}
	return *typeNotSupported(header, flags, t)
}

// Header returns the first eight octets of the encoded message.
func (m Message) Header() [8]byte {
	var h [8]byte
	h[0] = Version
	wire.PutU32At(h[:], 4, m.ID)
	return h
}

// Offset returns the offset that an Invalid Parameter error points at.
func (v Error) Offset() (offset uint32, ok bool) {
	if v.Vendor != VendorIETF || v.Code != ErrorInvalidParameter || len(v.Info) < 12 {
		return 0, false
	}
	r := wire.NewReader("", v.Info[8:])
	return r.U32(), true
}

// About returns the first octets of the message that an IETF error of RFC 5792
// is about.
func (v Error) About() (header [8]byte, ok bool) {
	if v.Vendor != VendorIETF || v.Code < ErrorInvalidParameter || v.Code > ErrorTypeNotSupported || len(v.Info) < len(header) {
		return header, false
	}
	return [8]byte(v.Info), true
}

// Unsupported returns the attribute type that Attribute Type Not Supported is
// about, and the flags that it came with.
func (v Error) Unsupported() (t Type, flags uint8, ok bool) {
	if v.Vendor != VendorIETF || v.Code != ErrorTypeNotSupported || len(v.Info) < 16 {
		return Type{}, 0, false
	}
	r := wire.NewReader("", v.Info[8:])
	flags = r.U8()
	return Type{Vendor: r.U24(), Type: r.U32()}, flags, true
}

// Name returns the name of an IETF error, "" for others.
func (v Error) Name() string {
	if v.Vendor != VendorIETF {
		return ""
	}
	return errorNames[v.Code]
}

// Type returns IETF type 8.
func (Error) Type() Type { return TypeError }

// AppendValue appends the value; information of other vendors is cut to
// MaxErrorInfo octets.
func (v Error) AppendValue(b []byte) ([]byte, error) {
	b = wire.AppendU24(append(b, 0), v.Vendor)
	b = wire.AppendU32(b, v.Code)
	info := v.Info
	if v.Vendor != VendorIETF && len(info) > MaxErrorInfo {
		info = info[:MaxErrorInfo]
	}
	return append(b, info...), nil
}

// parseError decodes the attribute. Information that is too short for its code
// makes it malformed.
func parseError(b []byte) (Value, error) {
	r := reader(TypeError, b)
	r.Skip(1)
	v := Error{Vendor: r.U24(), Code: r.U32()}
	at := r.Offset()
	v.Info = clone(r.Rest())
	if v.Vendor == VendorIETF && v.Code >= ErrorInvalidParameter && v.Code <= ErrorTypeNotSupported {
		if n := map[uint32]int{ErrorInvalidParameter: 12, ErrorVersionNotSupported: 10, ErrorTypeNotSupported: 16}[v.Code]; len(v.Info) < n {
			r.Fail(at, wire.ErrTruncated)
		}
	}
	return v, r.Err()
}

var errorNames = map[uint32]string{
	ErrorInvalidParameter:     "Invalid Parameter",
	ErrorVersionNotSupported:  "Version Not Supported",
	ErrorTypeNotSupported:     "Attribute Type Not Supported",
	ErrorSWIMA:                "SWIMA Error",
	ErrorSubscriptionDenied:   "SWIMA Subscription Denied",
	ErrorResponseTooLarge:     "SWIMA Response Too Large",
	ErrorFulfillment:          "SWIMA Subscription Fulfillment Error",
	ErrorSubscriptionIDReused: "SWIMA Subscription ID Reuse",
}

// String names IETF errors, as strongSwan does, and gives the numbers of others.
func (v Error) String() string {
	if n, ok := errorNames[v.Code]; ok && v.Vendor == VendorIETF {
		if at, ok := v.Offset(); ok {
			return fmt.Sprintf("PA-TNC error '%s' at offset %d", n, at)
		}
		return fmt.Sprintf("PA-TNC error '%s'", n)
	}
	return fmt.Sprintf("PA-TNC error 0x%06x/0x%08x", v.Vendor, v.Code)
}
