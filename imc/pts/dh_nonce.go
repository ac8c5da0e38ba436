package pts

import (
	"math"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Nonce lengths (TCG PTS Protocol Binding section 3.8.1).
const (
	MinNonce     = 17
	DefaultNonce = 20
	maxNonce     = math.MaxUint8
)

// DHNonceParametersRequest is the D-H Nonce Parameters Request: u8 0 | u8
// minimum nonce length, 0 = any | u16 groups.
type DHNonceParametersRequest struct {
	MinNonce uint8
	Groups   DHGroups
}

// Type returns TCG type 0x03000000.
func (DHNonceParametersRequest) Type() patnc.Type { return TypeDHNonceParametersRequest }

// AppendValue appends the value.
func (v DHNonceParametersRequest) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU16(append(b, 0, v.MinNonce), uint16(v.Groups)), nil
}

func parseDHNonceParametersRequest(b []byte) (patnc.Value, error) {
	r := reader(TypeDHNonceParametersRequest, b)
	r.Skip(1)
	v := DHNonceParametersRequest{MinNonce: r.U8(), Groups: DHGroups(r.U16())}
	return v, r.Finish()
}

// DHNonceParametersResponse is the D-H Nonce Parameters Response:
//
//	u24 0 | u8 nonce length | u16 group | u16 hash set | responder nonce | responder public value
type DHNonceParametersResponse struct {
	Group  DHGroups
	Hashes HashAlgorithms
	Nonce  []byte
	Public []byte
}

// Type returns TCG type 0x04000000.
func (DHNonceParametersResponse) Type() patnc.Type { return TypeDHNonceParametersResponse }

// AppendValue appends the value.
func (v DHNonceParametersResponse) AppendValue(b []byte) ([]byte, error) {
	if len(v.Nonce) > maxNonce {
		return b, wire.ErrTooLong
	}
	b = append(b, 0, 0, 0, byte(len(v.Nonce)))
	b = wire.AppendU16(wire.AppendU16(b, uint16(v.Group)), uint16(v.Hashes))
	return append(append(b, v.Nonce...), v.Public...), nil
}

func parseDHNonceParametersResponse(b []byte) (patnc.Value, error) {
	r := reader(TypeDHNonceParametersResponse, b)
	r.Skip(3)
	n := int(r.U8())
	v := DHNonceParametersResponse{Group: DHGroups(r.U16()), Hashes: HashAlgorithms(r.U16())}
	v.Nonce = clone(r.Bytes(n))
	v.Public = clone(r.Rest())
	return v, r.Err()
}

// DHNonceFinish is the D-H Nonce Finish:
//
//	u8 0 | u8 nonce length | u16 hash | initiator public value | initiator nonce
type DHNonceFinish struct {
	Hash   HashAlgorithms // exactly one
	Public []byte
	Nonce  []byte
}

// Type returns TCG type 0x05000000.
func (DHNonceFinish) Type() patnc.Type { return TypeDHNonceFinish }

// AppendValue appends the value.
func (v DHNonceFinish) AppendValue(b []byte) ([]byte, error) {
	if len(v.Nonce) > maxNonce {
		return b, wire.ErrTooLong
	}
	b = wire.AppendU16(append(b, 0, byte(len(v.Nonce))), uint16(v.Hash))
	return append(append(b, v.Public...), v.Nonce...), nil
}

func parseDHNonceFinish(b []byte) (patnc.Value, error) {
	r := reader(TypeDHNonceFinish, b)
	r.Skip(1)
	n := int(r.U8())
	v := DHNonceFinish{Hash: HashAlgorithms(r.U16())}
	v.Public = clone(r.Bytes(r.Len() - n))
	v.Nonce = clone(r.Rest())
	return v, r.Err()
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
