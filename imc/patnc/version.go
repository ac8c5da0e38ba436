package patnc

import (
	"bytes"
	"errors"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// ErrNUL is the cause of a decode error where a text holds a NUL octet.
var ErrNUL = errors.New("text holds a NUL octet")

// NumericVersion is the Numeric Version (RFC 5792 section 4.2.3):
//
//	u32 major | u32 minor | u32 build | u16 service pack major | u16 service pack minor
type NumericVersion struct {
	Major, Minor, Build                uint32
	ServicePackMajor, ServicePackMinor uint16
}

// Type returns IETF type 3.
func (NumericVersion) Type() Type { return TypeNumericVersion }

// AppendValue appends the value.
func (v NumericVersion) AppendValue(b []byte) ([]byte, error) {
	b = wire.AppendU32(wire.AppendU32(wire.AppendU32(b, v.Major), v.Minor), v.Build)
	return wire.AppendU16(wire.AppendU16(b, v.ServicePackMajor), v.ServicePackMinor), nil
}

func parseNumericVersion(b []byte) (Value, error) {
	r := reader(TypeNumericVersion, b)
	v := NumericVersion{Major: r.U32(), Minor: r.U32(), Build: r.U32(), ServicePackMajor: r.U16(), ServicePackMinor: r.U16()}
	return v, r.Finish()
}

// StringVersion is the String Version (RFC 5792 section 4.2.4):
//
//	u8 length, version | u8 length, build | u8 length, configuration
type StringVersion struct {
	Version, Build, Configuration string // UTF-8, at most 255 octets, no NUL
}

// Type returns IETF type 4.
func (StringVersion) Type() Type { return TypeStringVersion }

// AppendValue appends the value.
func (v StringVersion) AppendValue(b []byte) (out []byte, err error) {
	out = b
	for _, s := range [...]string{v.Version, v.Build, v.Configuration} {
		if out, err = wire.AppendVec8(out, []byte(s)); err != nil {
			return b, err
		}
	}
	return out, nil
}

func parseStringVersion(b []byte) (Value, error) {
	r := reader(TypeStringVersion, b)
	v := StringVersion{Version: vec8Text(r), Build: vec8Text(r), Configuration: vec8Text(r)}
	return v, r.Finish()
}

// readText reads n octets that hold no NUL; a NUL fails at its own offset.
func readText(r *wire.Reader, n int) string {
	at := r.Offset()
	b := r.Bytes(n)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		r.Fail(at+i, ErrNUL)
		return ""
	}
	return string(b)
}

func vec8Text(r *wire.Reader) string { return readText(r, int(r.U8())) }

func vec16Text(r *wire.Reader) string { return readText(r, int(r.U16())) }

func restText(r *wire.Reader) string { return readText(r, r.Len()) }
