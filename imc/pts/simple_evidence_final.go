package pts

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// QuoteKind says which structure of a TPM a quote signs.
type QuoteKind uint8

// Quote kinds.
const (
	QuoteNone       QuoteKind = 0x00
	QuoteTPM12      QuoteKind = 0x40 // TPM_QUOTE_INFO
	QuoteTPM12Info2 QuoteKind = 0x80 // TPM_QUOTE_INFO2
	QuoteTPM12Vers  QuoteKind = 0xC0 // TPM_QUOTE_INFO2 and TPM_CAP_VERSION_INFO
	QuoteTPM20      QuoteKind = 0x10 // TPMS_ATTEST, strongSwan's extension
)

// TPM20Quote holds the parts of TPMS_ATTEST that a verifier cannot know.
type TPM20Quote struct {
	QualifiedSigner []byte
	ClockInfo       []byte
	FirmwareVersion []byte
	PCRSelection    []byte
}

// SimpleEvidenceFinal is the Simple Evidence Final (TCG PTS Protocol Binding
// section 3.15.2):
//
//	u8 flags: 0xD0 quote kind, 0x20 evidence signature | u8 0 | u16 composite hash algorithm
//	| with a quote: u32 length, PCR composite digest
//	| with QuoteTPM20: four times u16 length, octets: the fields of TPM20Quote
//	| with a quote: u32 length, signature
//	| with flag 0x20: evidence signature
type SimpleEvidenceFinal struct {
	Kind              QuoteKind
	CompositeHash     HashAlgorithms // 0 without a quote
	Composite         []byte         // PCR composite digest
	TPM20             TPM20Quote     // with QuoteTPM20
	Signature         []byte
	EvidenceSignature []byte // empty: none
}

const flagEvidenceSignature = 0x20

// Type returns TCG type 0x00400000.
func (SimpleEvidenceFinal) Type() patnc.Type { return TypeSimpleEvidenceFinal }

// AppendValue appends the value.
func (v SimpleEvidenceFinal) AppendValue(b []byte) (out []byte, err error) {
	flags := byte(v.Kind)
	if len(v.EvidenceSignature) > 0 {
		flags |= flagEvidenceSignature
	}
	out = wire.AppendU16(append(b, flags, 0), uint16(v.CompositeHash))
	if v.Kind != QuoteNone {
		if out, err = wire.AppendVec32(out, v.Composite); err != nil {
			return b, err
		}
		if v.Kind == QuoteTPM20 {
			for _, p := range [...][]byte{v.TPM20.QualifiedSigner, v.TPM20.ClockInfo, v.TPM20.FirmwareVersion, v.TPM20.PCRSelection} {
				if out, err = wire.AppendVec16(out, p); err != nil {
					return b, err
				}
			}
		}
		if out, err = wire.AppendVec32(out, v.Signature); err != nil {
			return b, err
		}
	}
	return append(out, v.EvidenceSignature...), nil
}

func parseSimpleEvidenceFinal(b []byte) (patnc.Value, error) {
	r := reader(TypeSimpleEvidenceFinal, b)
	at := r.Offset()
	flags := r.U8()
	r.Skip(1)
	v := SimpleEvidenceFinal{Kind: QuoteKind(flags & 0xD0), CompositeHash: HashAlgorithms(r.U16())}
	switch v.Kind {
	case QuoteNone, QuoteTPM12, QuoteTPM12Info2, QuoteTPM12Vers, QuoteTPM20:
	default:
		r.Fail(at, wire.ErrValue)
	}
	if v.Kind != QuoteNone {
		v.Composite = vec32(r)
		if v.Kind == QuoteTPM20 {
			for _, p := range [...]*[]byte{&v.TPM20.QualifiedSigner, &v.TPM20.ClockInfo, &v.TPM20.FirmwareVersion, &v.TPM20.PCRSelection} {
				*p = clone(r.Bytes(int(r.U16())))
			}
		}
		v.Signature = vec32(r)
	}
	if flags&flagEvidenceSignature != 0 {
		v.EvidenceSignature = clone(r.Rest())
	}
	return v, r.Finish()
}

func vec32(r *wire.Reader) []byte {
	at := r.Offset()
	n := r.U32()
	if uint64(n) > uint64(r.Len()) {
		r.Fail(at, wire.ErrTruncated)
		return nil
	}
	return clone(r.Bytes(int(n)))
}
