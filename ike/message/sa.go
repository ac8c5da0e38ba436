package message

import (
	"bytes"
	"fmt"
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// TransformType is a transform type (RFC 7296 section 3.3.2, RFC 9370 section 4).
type TransformType uint8

// Transform types.
const (
	ENCR   TransformType = 1
	PRF    TransformType = 2
	INTEG  TransformType = 3
	KEXCH  TransformType = 4
	ESN    TransformType = 5
	ADDKE1 TransformType = 6
	ADDKE7 TransformType = 12
)

func (t TransformType) String() string {
	switch t {
	case ENCR:
		return "ENCRYPTION_ALGORITHM"
	case PRF:
		return "PSEUDO_RANDOM_FUNCTION"
	case INTEG:
		return "INTEGRITY_ALGORITHM"
	case KEXCH:
		return "KEY_EXCHANGE_METHOD"
	case ESN:
		return "EXTENDED_SEQUENCE_NUMBERS"
	}
	if t >= ADDKE1 && t <= ADDKE7 {
		return fmt.Sprintf("ADDITIONAL_KEY_EXCHANGE_%d", t-ADDKE1+1)
	}
	return fmt.Sprintf("TRANSFORM_%d", uint8(t))
}

// Transform IDs of type ENCR.
const (
	Encr3DES             uint16 = 3
	EncrNULL             uint16 = 11
	EncrAESCBC           uint16 = 12
	EncrAESCTR           uint16 = 13
	EncrAESCCM8          uint16 = 14
	EncrAESCCM12         uint16 = 15
	EncrAESCCM16         uint16 = 16
	EncrAESGCM8          uint16 = 18
	EncrAESGCM12         uint16 = 19
	EncrAESGCM16         uint16 = 20
	EncrNULLAESGMAC      uint16 = 21
	EncrCamelliaCBC      uint16 = 23
	EncrChaCha20Poly1305 uint16 = 28
)

// Transform IDs of type PRF.
const (
	PRFHMACMD5    uint16 = 1
	PRFHMACSHA1   uint16 = 2
	PRFAESXCBC    uint16 = 4
	PRFHMACSHA256 uint16 = 5
	PRFHMACSHA384 uint16 = 6
	PRFHMACSHA512 uint16 = 7
	PRFAESCMAC    uint16 = 8
)

// Transform IDs of type INTEG.
const (
	IntegNone          uint16 = 0
	IntegHMACMD596     uint16 = 1
	IntegHMACSHA196    uint16 = 2
	IntegAESXCBC96     uint16 = 5
	IntegAESCMAC96     uint16 = 8
	IntegHMACSHA256128 uint16 = 12
	IntegHMACSHA384192 uint16 = 13
	IntegHMACSHA512256 uint16 = 14
)

// KEMethod is a transform ID of type KEXCH, and the method of a KE payload.
type KEMethod uint16

// Key exchange methods.
const (
	KENone        KEMethod = 0
	KEMODP1024    KEMethod = 2
	KEMODP1536    KEMethod = 5
	KEMODP2048    KEMethod = 14
	KEMODP3072    KEMethod = 15
	KEMODP4096    KEMethod = 16
	KEMODP6144    KEMethod = 17
	KEMODP8192    KEMethod = 18
	KEECP256      KEMethod = 19
	KEECP384      KEMethod = 20
	KEECP521      KEMethod = 21
	KECurve25519  KEMethod = 31
	KECurve448    KEMethod = 32
	KEMLKEM512    KEMethod = 35
	KEMLKEM768    KEMethod = 36
	KEMLKEM1024   KEMethod = 37
	keBrainpool   KEMethod = 27
	keModp1024160 KEMethod = 22
)

var keNames = map[KEMethod]string{
	KENone: "KE_NONE", KEMODP1024: "MODP_1024", KEMODP1536: "MODP_1536", KEMODP2048: "MODP_2048", KEMODP3072: "MODP_3072",
	KEMODP4096: "MODP_4096", KEMODP6144: "MODP_6144", KEMODP8192: "MODP_8192", KEECP256: "ECP_256", KEECP384: "ECP_384",
	KEECP521: "ECP_521", keModp1024160: "MODP_1024_160", 23: "MODP_2048_224", 24: "MODP_2048_256", 25: "ECP_192", 26: "ECP_224",
	keBrainpool: "ECP_224_BP", 28: "ECP_256_BP", 29: "ECP_384_BP", 30: "ECP_512_BP", KECurve25519: "CURVE_25519",
	KECurve448: "CURVE_448", KEMLKEM512: "ML_KEM_512", KEMLKEM768: "ML_KEM_768", KEMLKEM1024: "ML_KEM_1024",
}

// String returns strongSwan's name of the method: "CURVE_25519".
func (m KEMethod) String() string {
	if n, ok := keNames[m]; ok {
		return n
	}
	return fmt.Sprintf("KE_%d", uint16(m))
}

// Transform IDs of type ESN.
const (
	ESNNo  uint16 = 0
	ESNYes uint16 = 1
)

// attrKeyLength is the attribute "Key Length" (RFC 7296 section 3.3.5), in the
// type/value format that it always has.
const attrKeyLength = 14

// Attribute is a transform attribute that this package does not know. A
// transform that has one must not be chosen (RFC 7296 section 3.3.6).
type Attribute struct {
	Type  uint16 // without the format bit
	TV    bool   // two-octet value without length
	Value []byte
}

// Transform is one algorithm of a proposal.
type Transform struct {
	Type       TransformType
	ID         uint16
	KeyBits    uint16 // 0: no Key Length attribute
	Attributes []Attribute
}

// Equal reports whether both are the same algorithm with the same key length.
func (t Transform) Equal(u Transform) bool {
	return t.Type == u.Type && t.ID == u.ID && t.KeyBits == u.KeyBits && len(t.Attributes) == 0 && len(u.Attributes) == 0
}

// Proposal is one proposal of an SA payload (RFC 7296 section 3.3.1).
type Proposal struct {
	Number     uint8 // from 1
	Protocol   ProtocolID
	SPI        []byte // empty in IKE_SA_INIT, 8 octets when rekeying an IKE SA, 4 for AH and ESP
	Transforms []Transform
}

// OfType returns the transforms of type t in order.
func (p Proposal) OfType(t TransformType) (ts []Transform) {
	for _, v := range p.Transforms {
		if v.Type == t {
			ts = append(ts, v)
		}
	}
	return ts
}

// Clone returns a deep copy.
func (p Proposal) Clone() Proposal {
	p.SPI = bytes.Clone(p.SPI)
	ts := make([]Transform, len(p.Transforms))
	copy(ts, p.Transforms)
	p.Transforms = ts
	return p
}

// SA is the Security Association payload (RFC 7296 section 3.3).
type SA struct{ Proposals []Proposal }

// Type returns TypeSA.
func (*SA) Type() PayloadType { return TypeSA }

func parseSA(r *wire.Reader) *SA {
	sa := &SA{}
	for more := true; more; {
		at := r.Offset()
		last := r.U8()
		r.U8()
		n := int(r.U16())
		if r.Err() == nil && (n < 8 || last != 0 && last != 2) {
			r.Fail(at, wire.ErrValue)
		}
		if len(sa.Proposals) == MaxProposals {
			r.Fail(at, fmt.Errorf("proposals: %w", ErrTooMany))
		}
		s := r.Sub("SA payload", n-4)
		sa.Proposals = append(sa.Proposals, parseProposal(s))
		if err := s.Finish(); err != nil {
			failAs(r, err)
		}
		if r.Err() != nil {
			return sa
		}
		more = last == 2
	}
	return sa
}

// failAs lets the outer Reader report the failure of the inner one.
func failAs(r *wire.Reader, err error) {
	if d, ok := err.(*wire.DecodeError); ok {
		r.Fail(d.Offset, d.Err)
		return
	}
	r.Fail(r.Offset(), err)
}

func parseProposal(r *wire.Reader) Proposal {
	p := Proposal{Number: r.U8(), Protocol: ProtocolID(r.U8())}
	size := int(r.U8())
	count := int(r.U8())
	if count > MaxTransforms {
		r.Fail(r.Offset()-1, fmt.Errorf("transforms: %w", ErrTooMany))
	}
	p.SPI = clone(r.Bytes(size))
	for i := 0; i < count && r.Err() == nil; i++ {
		at := r.Offset()
		last := r.U8()
		r.U8()
		n := int(r.U16())
		wantMore := uint8(3)
		if i == count-1 {
			wantMore = 0
		}
		if r.Err() == nil && (n < 8 || last != wantMore) {
			r.Fail(at, wire.ErrValue)
		}
		s := r.Sub("SA payload", n-4)
		p.Transforms = append(p.Transforms, parseTransform(s))
		if err := s.Finish(); err != nil {
			failAs(r, err)
		}
	}
	return p
}

func parseTransform(r *wire.Reader) Transform {
	t := Transform{Type: TransformType(r.U8())}
	r.U8()
	t.ID = r.U16()
	for n := 0; r.Len() > 0; n++ {
		at := r.Offset()
		typ := r.U16()
		a := Attribute{Type: typ &^ 0x8000, TV: typ&0x8000 != 0}
		if a.TV {
			a.Value = clone(r.Bytes(2))
		} else {
			a.Value = clone(r.Bytes(int(r.U16())))
		}
		if r.Err() != nil {
			return t
		}
		if n == MaxAttributes {
			r.Fail(at, fmt.Errorf("attributes: %w", ErrTooMany))
			return t
		}
		if bits := uint16(0); a.TV && a.Type == attrKeyLength && t.KeyBits == 0 {
			if bits = uint16(a.Value[0])<<8 | uint16(a.Value[1]); bits != 0 {
				t.KeyBits = bits
				continue
			}
		}
		t.Attributes = append(t.Attributes, a)
	}
	return t
}

// AppendBody appends the proposals; at least one proposal is needed.
func (sa *SA) AppendBody(b []byte) ([]byte, error) {
	if len(sa.Proposals) == 0 || len(sa.Proposals) > MaxProposals {
		return b, fmt.Errorf("%d proposals: %w", len(sa.Proposals), wire.ErrValue)
	}
	out := b
	for i, p := range sa.Proposals {
		if len(p.SPI) > math.MaxUint8 || len(p.Transforms) > MaxTransforms {
			return b, fmt.Errorf("proposal %d: %w", p.Number, wire.ErrTooLong)
		}
		at := len(out)
		more := byte(2)
		if i == len(sa.Proposals)-1 {
			more = 0
		}
		out = append(out, more, 0, 0, 0, p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
		out = append(out, p.SPI...)
		for j, t := range p.Transforms {
			var err error
			if out, err = t.append(out, j == len(p.Transforms)-1); err != nil {
				return b, err
			}
		}
		if len(out)-at > math.MaxUint16 {
			return b, fmt.Errorf("proposal %d: %w", p.Number, wire.ErrTooLong)
		}
		wire.PutU16At(out, at+2, uint16(len(out)-at))
	}
	return out, nil
}

func (t Transform) append(b []byte, last bool) ([]byte, error) {
	at := len(b)
	more := byte(3)
	if last {
		more = 0
	}
	b = append(b, more, 0, 0, 0, byte(t.Type), 0)
	b = wire.AppendU16(b, t.ID)
	if t.KeyBits != 0 {
		b = wire.AppendU16(wire.AppendU16(b, 0x8000|attrKeyLength), t.KeyBits)
	}
	for _, a := range t.Attributes {
		if a.TV {
			if len(a.Value) != 2 {
				return b, fmt.Errorf("attribute %d: %w", a.Type, wire.ErrLength)
			}
			b = append(wire.AppendU16(b, a.Type|0x8000), a.Value...)
			continue
		}
		var err error
		if b, err = wire.AppendVec16(wire.AppendU16(b, a.Type&^0x8000), a.Value); err != nil {
			return b, err
		}
	}
	if len(b)-at > math.MaxUint16 {
		return b, fmt.Errorf("transform: %w", wire.ErrTooLong)
	}
	wire.PutU16At(b, at+2, uint16(len(b)-at))
	return b, nil
}

// clone copies a view; nil and empty views become nil.
func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}
