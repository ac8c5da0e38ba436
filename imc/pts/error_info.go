package pts

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// ErrorInfo is a PTS error: the code and the information of a PA-TNC Error of
// vendor TCG (TCG PTS Protocol Binding section 3.14.2). The information is one of
//
//	Hash Algorithm Not Supported   u16 0 | u16 supported algorithms
//	D-H Group Not Supported        u16 0 | u16 supported groups
//	DH-PN Nonce Not Acceptable     u16 minimum | u16 maximum length of a nonce
//	all others                     the value of the attribute that is refused,
//	                               at most patnc.MaxErrorInfo octets of it
type ErrorInfo struct {
	Code ErrorCode

	Hashes             HashAlgorithms // ErrorHashAlgorithm: what the sender supports
	Groups             DHGroups       // ErrorDHGroup: what the sender supports
	MinNonce, MaxNonce uint16         // ErrorDHNonce: octets
	Request            []byte         // others: value of the refused attribute
}

// refuse answers a request with an error that carries the request's value.
func refuse(code ErrorCode, request patnc.Value) patnc.Attribute {
	value, err := request.AppendValue(nil)
	if err != nil {
		value = nil
	}
	return patnc.Skip(ErrorInfo{Code: code, Request: value}.PATNC())
}

// PATNC frames the error. Sets are written as they are; the request is cut.
func (i ErrorInfo) PATNC() patnc.Error {
	e := patnc.Error{Vendor: patnc.VendorTCG, Code: uint32(i.Code)}
	switch i.Code {
	case ErrorHashAlgorithm:
		e.Info = wire.AppendU16(wire.AppendU16(nil, 0), uint16(i.Hashes))
	case ErrorDHGroup:
		e.Info = wire.AppendU16(wire.AppendU16(nil, 0), uint16(i.Groups))
	case ErrorDHNonce:
		e.Info = wire.AppendU16(wire.AppendU16(nil, i.MinNonce), i.MaxNonce)
	default:
		e.Info = clone(i.Request[:min(len(i.Request), patnc.MaxErrorInfo)])
	}
	return e
}

// ParseErrorInfo decodes a received error of vendor TCG. Information that is
// shorter than its code says is an error; what follows it is not looked at.
func ParseErrorInfo(e patnc.Error) (ErrorInfo, error) {
	i := ErrorInfo{Code: ErrorCode(e.Code)}
	if e.Vendor != patnc.VendorTCG {
		return i, fmt.Errorf("PA-TNC error of vendor 0x%06x is none of PTS", e.Vendor)
	}
	r := wire.NewReader("PTS error information", e.Info)
	switch i.Code {
	case ErrorHashAlgorithm:
		r.Skip(2)
		i.Hashes = HashAlgorithms(r.U16())
	case ErrorDHGroup:
		r.Skip(2)
		i.Groups = DHGroups(r.U16())
	case ErrorDHNonce:
		i.MinNonce, i.MaxNonce = r.U16(), r.U16()
	default:
		i.Request = clone(r.Rest())
	}
	return i, r.Err()
}

// String says the error with what it is about: "File Not Found '/etc/x'".
func (i ErrorInfo) String() string {
	switch i.Code {
	case ErrorHashAlgorithm:
		return fmt.Sprintf("%v: the other side supports %v", i.Code, i.Hashes)
	case ErrorDHGroup:
		return fmt.Sprintf("%v: the other side supports %v", i.Code, i.Groups)
	case ErrorDHNonce:
		return fmt.Sprintf("%v: %d to %d octets are wanted", i.Code, i.MinNonce, i.MaxNonce)
	case ErrorInvalidPath, ErrorFileNotFound, ErrorDelimiter:
		if path, ok := i.Path(); ok {
			return fmt.Sprintf("%v %s", i.Code, quote(path))
		}
	}
	return i.Code.String()
}

// Path returns the path of a refused file request, measurement or metadata; the
// latter has its delimiter where the former has a zero.
func (i ErrorInfo) Path() (path string, ok bool) {
	at := 8
	if len(i.Request) >= 4 && i.Request[1] != 0 {
		at = 4
	}
	if len(i.Request) < at || bytes.IndexByte(i.Request[at:], 0) >= 0 {
		return "", false
	}
	return string(i.Request[at:]), true
}
