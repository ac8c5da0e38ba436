// Package peapmsg is the content of the tunnel of PEAPv0: EAP packets without
// header, the result that ends them, and its cryptographic binding. Peer and
// server share it.
package peapmsg

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Version is the only version of PEAP that is spoken.
const Version = 0

// TLVs of the EAP extensions method, type 33 (draft-josefsson-pppext-eap-tls-eap
// section 3, [MS-PEAP] section 2.2.8).
const (
	tlvResult        = 3
	tlvCryptoBinding = 12

	tlvMandatory = 0x8000
	tlvTypeMask  = 0x3fff

	// Status of a Result.
	ResultSuccess = 1
	ResultFailure = 2

	eapHeader = 4 // Code, Identifier, Length
	tlvsMax   = 16
)

var (
	errMandatory = errors.New("server demands a TLV that is not supported")
	errNoResult  = errors.New("EAP extensions without a result")
)

// hasHeader reports whether an inner packet is complete: the result, with its
// own identifier, is, and an Identity request may be. All others are Type and
// Type-Data alone ([MS-PEAP] section 2.2.2).
func hasHeader(b []byte) bool {
	if len(b) < eapHeader+1 || int(b[2])<<8|int(b[3]) != len(b) {
		return false
	}
	code, t := eap.Code(b[0]), eap.Type(b[4])
	return (code == eap.CodeRequest || code == eap.CodeResponse) && (t == eap.TypeMSTLV || t == eap.TypeIdentity && code == eap.CodeRequest)
}

// Expand returns the whole EAP packet that b abbreviates; code and identifier of
// a packet without header are those of the EAP packet that carries it.
func Expand(code eap.Code, id uint8, b []byte) ([]byte, error) {
	if hasHeader(b) {
		return b, nil
	}
	n := eapHeader + len(b)
	if len(b) == 0 || n > 0xffff {
		return nil, fmt.Errorf("inner packet of %d octets: %w", len(b), wire.ErrLength)
	}
	return append(wire.AppendU16([]byte{byte(code), id}, uint16(n)), b...), nil
}

// Compress returns the packet as it is sent in the tunnel, the reverse of Expand.
func Compress(packet []byte) []byte {
	if len(packet) > eapHeader && eap.Type(packet[eapHeader]) == eap.TypeMSTLV {
		return packet
	}
	return packet[eapHeader:]
}

// Result is the content of the EAP extensions packet that ends the inner
// conversation.
type Result struct {
	Status  uint16 // ResultSuccess or ResultFailure
	Binding []byte // value of the Crypto-Binding TLV, nil = none
}

// ParseResult decodes the Type-Data of an EAP extensions packet; Binding is a
// view into b.
func ParseResult(b []byte) (Result, error) {
	var out Result
	r := wire.NewReader("PEAP extensions", b)
	for n := 0; r.Len() > 0 && r.Err() == nil; n++ {
		at := r.Offset()
		typ := r.U16()
		v := r.Bytes(int(r.U16()))
		if r.Err() != nil {
			break
		}
		switch typ & tlvTypeMask {
		case tlvResult:
			if len(v) != 2 {
				r.Fail(at+2, wire.ErrLength)
				break
			}
			out.Status = uint16(v[0])<<8 | uint16(v[1])
		case tlvCryptoBinding:
			if len(v) != bindingLen {
				r.Fail(at+2, wire.ErrLength)
				break
			}
			out.Binding = v
		default:
			if typ&tlvMandatory != 0 {
				r.Fail(at, fmt.Errorf("TLV %d: %w", typ&tlvTypeMask, errMandatory))
			}
		}
		if n == tlvsMax {
			r.Fail(at, wire.ErrLength)
		}
	}
	if err := r.Err(); err != nil {
		return Result{}, err
	}
	if out.Status != ResultSuccess && out.Status != ResultFailure {
		return Result{}, errNoResult
	}
	return out, nil
}

// AppendBinary appends the encoded TLVs to b.
func (r Result) AppendBinary(b []byte) []byte {
	b = wire.AppendU16(wire.AppendU16(wire.AppendU16(b, tlvMandatory|tlvResult), 2), r.Status)
	if r.Binding != nil {
		b = append(wire.AppendU16(wire.AppendU16(b, tlvCryptoBinding), uint16(len(r.Binding))), r.Binding...)
	}
	return b
}
