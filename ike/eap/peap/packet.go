package peap

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// TLVs of the EAP extensions method, type 33 (draft-josefsson-pppext-eap-tls-eap
// §3, [MS-PEAP] §2.2.8).
const (
	tlvResult        = 3
	tlvCryptoBinding = 12

	tlvMandatory = 0x8000
	tlvTypeMask  = 0x3fff

	resultSuccess = 1
	resultFailure = 2

	eapHeader = 4 // Code, Identifier, Length
	tlvsMax   = 16
)

var (
	errMandatory = errors.New("server demands a TLV that is not supported")
	errNoResult  = errors.New("EAP extensions without a result")
)

// hasHeader reports whether an inner packet is complete: the result, with its
// own identifier, is, and an Identity request may be. All others are Type and
// Type-Data alone ([MS-PEAP] §2.2.2).
func hasHeader(b []byte) bool {
	if len(b) < eapHeader+1 || int(b[2])<<8|int(b[3]) != len(b) {
		return false
	}
	code, t := eap.Code(b[0]), eap.Type(b[4])
	return (code == eap.CodeRequest || code == eap.CodeResponse) && (t == eap.TypeMSTLV || t == eap.TypeIdentity && code == eap.CodeRequest)
}

// expand returns the whole EAP packet that b stands for; code and identifier of
// a packet without header are those of the EAP packet that carries it.
func expand(code eap.Code, id uint8, b []byte) ([]byte, error) {
	if hasHeader(b) {
		return b, nil
	}
	n := eapHeader + len(b)
	if len(b) == 0 || n > 0xffff {
		return nil, fmt.Errorf("inner packet of %d octets: %w", len(b), wire.ErrLength)
	}
	return append(wire.AppendU16([]byte{byte(code), id}, uint16(n)), b...), nil
}

// compress is expand's reverse.
func compress(packet []byte) []byte {
	if len(packet) > eapHeader && eap.Type(packet[eapHeader]) == eap.TypeMSTLV {
		return packet
	}
	return packet[eapHeader:]
}

// result is the content of the EAP extensions packet that ends the inner
// conversation.
type result struct {
	status  uint16 // resultSuccess or resultFailure
	binding []byte // value of the Crypto-Binding TLV, nil = none
}

func parseResult(b []byte) (result, error) {
	var out result
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
			out.status = uint16(v[0])<<8 | uint16(v[1])
		case tlvCryptoBinding:
			if len(v) != bindingLen {
				r.Fail(at+2, wire.ErrLength)
				break
			}
			out.binding = v
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
		return result{}, err
	}
	if out.status != resultSuccess && out.status != resultFailure {
		return result{}, errNoResult
	}
	return out, nil
}

// appendBinary appends the TLVs.
func (r result) appendBinary(b []byte) []byte {
	b = wire.AppendU16(wire.AppendU16(wire.AppendU16(b, tlvMandatory|tlvResult), 2), r.status)
	if r.binding != nil {
		b = append(wire.AppendU16(wire.AppendU16(b, tlvCryptoBinding), uint16(len(r.binding))), r.binding...)
	}
	return b
}
