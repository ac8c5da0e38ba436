package crypto

import (
	"slices"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Inner is what an SK payload, or all SKF payloads of a message together,
// protect: the encoded payloads without padding.
type Inner struct {
	First    message.PayloadType
	Payloads []byte
}

// IntermediateAuth gathers what the AUTH payloads say about IKE_INTERMEDIATE
// exchanges (RFC 9242 section 3.3). The zero value is ready.
type IntermediateAuth struct{ i, r []byte }

// Add takes one message of an IKE_INTERMEDIATE exchange, with the key SK_pi
// (requests) or SK_pr (responses) that was in force for it:
//
//	IntAuth_n = prf(SK_p, IntAuth_(n-1) | A | P)
//
// A are the IKE header and the generic header of the SK payload as if nothing
// were encrypted or cut into fragments, P the payloads inside.
func (a *IntermediateAuth) Add(prf PRF, skp []byte, h message.Header, in Inner) error {
	const skHeader = 4
	h.NextPayload = message.TypeSK
	h.Length = uint32(message.HeaderSize + skHeader + len(in.Payloads))
	b, err := h.AppendBinary(nil)
	if err != nil {
		return err
	}
	b = wire.AppendU16(append(b, byte(in.First), 0), uint16(skHeader+len(in.Payloads)))
	to := &a.i
	if h.IsResponse() {
		to = &a.r
	}
	*to = prf.Sum(skp, *to, b, in.Payloads)
	return nil
}

// Octets returns IntAuth = IntAuth_i | IntAuth_r | message ID of the first
// IKE_AUTH request; nil where there was no IKE_INTERMEDIATE exchange.
func (a *IntermediateAuth) Octets(firstAuth uint32) []byte {
	if a.i == nil && a.r == nil {
		return nil
	}
	return wire.AppendU32(slices.Concat(a.i, a.r), firstAuth)
}
