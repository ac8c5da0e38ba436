package pts

import (
	"fmt"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// ComponentName is a component functional name (TCG PTS Protocol Binding §5):
//
//	u24 vendor | u8 family (2 bits) and qualifier (6 bits) | u32 name
type ComponentName struct {
	Vendor    uint32
	Family    uint8 // 0, binary enumeration, is the only one in use
	Qualifier uint8 // 6 bits
	Name      uint32
}

// String names the component as strongSwan does: "ITA-HSR functional component
// 'Linux IMA' [K.] 'Operating System'".
func (c ComponentName) String() string {
	name := ""
	switch {
	case c.Vendor == patnc.VendorTCG && c.Name < uint32(len(tcgComponents)):
		name = tcgComponents[c.Name]
	case c.Vendor == patnc.VendorITA && c.Name < uint32(len(itaComponents)):
		name = itaComponents[c.Name]
	}
	if name == "" {
		return fmt.Sprintf("0x%06x functional component 0x%08x qualifier 0x%02x", c.Vendor, c.Name, c.Qualifier)
	}
	flags := []byte("..")
	if c.Qualifier&qualifierKernel != 0 {
		flags[0] = 'K'
	}
	if c.Qualifier&qualifierSub != 0 {
		flags[1] = 'S'
	}
	of := "TCG"
	if c.Vendor == patnc.VendorITA {
		of = "ITA-HSR"
	}
	return fmt.Sprintf("%s functional component '%s' [%s] '%s'", of, name, flags, qualifierTypes[c.Qualifier&qualifierType])
}

// Bits of a qualifier of TCG and ITA-HSR.
const (
	qualifierKernel = 0x20
	qualifierSub    = 0x10
	qualifierType   = 0x0F
)

var (
	tcgComponents = [...]string{"Ignore", "CRTM", "BIOS", "Platform Extensions", "Motherboard Firmware", "Initial Program Loader", "Option ROMs"}
	itaComponents = [...]string{"Ignore", "Trusted GRUB", "Trusted Boot", "Linux IMA"}
	// what the low four bits stand for
	qualifierTypes = [16]string{0: "Unknown", 1: "Trusted Platform", 2: "Operating System", 3: "Graphical User Interface", 4: "Application",
		5: "Networking", 6: "Library", 7: "TNC Defined Component", 8: "Reserved", 9: "Reserved", 10: "Reserved", 11: "Reserved",
		12: "Reserved", 13: "Reserved", 14: "Reserved", 15: "All Matching Components"}
)

// errNameFamily is the cause of a decode error for a component name that is
// not of the binary enumeration.
var errNameFamily = fmt.Errorf("functional name family not supported: %w", wire.ErrValue)

func (c ComponentName) append(b []byte) []byte {
	b = wire.AppendU24(b, c.Vendor)
	return wire.AppendU32(append(b, c.Family<<6|c.Qualifier&0x3F), c.Name)
}

// readComponentName fails at offset start, where the value begins, for an
// unknown family, as strongSwan answers it.
func readComponentName(r *wire.Reader, start int) ComponentName {
	c := ComponentName{Vendor: r.U24()}
	q := r.U8()
	c.Family, c.Qualifier, c.Name = q>>6, q&0x3F, r.U32()
	if c.Family != 0 {
		r.Fail(start, errNameFamily)
	}
	return c
}

// ComponentRequestFlags qualify the request for a component's evidence.
type ComponentRequestFlags uint8

// Flags of a component request.
const (
	RequestTransitiveTrust ComponentRequestFlags = 0x80
	RequestVerify          ComponentRequestFlags = 0x40
	RequestCurrent         ComponentRequestFlags = 0x20
	RequestPCR             ComponentRequestFlags = 0x10
)

// ComponentRequest is one entry of RequestFunctionalComponentEvidence.
type ComponentRequest struct {
	Flags     ComponentRequestFlags
	Depth     uint32 // sub-component depth, 24 bits
	Component ComponentName
}

// RequestFunctionalComponentEvidence is the Request Functional Component
// Evidence (TCG PTS Protocol Binding §3.14.1): n × { u8 flags | u24 depth |
// component name }.
type RequestFunctionalComponentEvidence struct{ Components []ComponentRequest }

// Type returns TCG type 0x00100000.
func (RequestFunctionalComponentEvidence) Type() patnc.Type {
	return TypeRequestFunctionalComponentEvidence
}

// AppendValue appends the value.
func (v RequestFunctionalComponentEvidence) AppendValue(b []byte) ([]byte, error) {
	for _, c := range v.Components {
		b = c.Component.append(wire.AppendU24(append(b, byte(c.Flags)), c.Depth))
	}
	return b, nil
}

func parseRequestFunctionalComponentEvidence(b []byte) (patnc.Value, error) {
	r := reader(TypeRequestFunctionalComponentEvidence, b)
	start := r.Offset()
	if r.Len() < 12 {
		r.Fail(start, wire.ErrTruncated)
		return nil, r.Err()
	}
	v := RequestFunctionalComponentEvidence{Components: make([]ComponentRequest, 0, r.Len()/12)}
	for r.Len() > 0 {
		c := ComponentRequest{Flags: ComponentRequestFlags(r.U8()), Depth: r.U24()}
		c.Component = readComponentName(r, start)
		if r.Err() != nil {
			return nil, r.Err()
		}
		v.Components = append(v.Components, c)
	}
	return v, r.Err()
}

// GenerateAttestationEvidence is the Generate Attestation Evidence: u32 0.
type GenerateAttestationEvidence struct{}

// Type returns TCG type 0x00200000.
func (GenerateAttestationEvidence) Type() patnc.Type { return TypeGenerateAttestationEvidence }

// AppendValue appends the value.
func (GenerateAttestationEvidence) AppendValue(b []byte) ([]byte, error) {
	return append(b, 0, 0, 0, 0), nil
}

func parseGenerateAttestationEvidence(b []byte) (patnc.Value, error) {
	r := reader(TypeGenerateAttestationEvidence, b)
	return GenerateAttestationEvidence{}, parseReserved(r)
}

// Validation is the result of a collector's own check of a component.
type Validation uint8

// Validation results.
const (
	ValidationNone   Validation = 0x00
	ValidationUnable Validation = 0x20
	ValidationFailed Validation = 0x40
	ValidationPassed Validation = 0x60
)

// Transform says how a measurement became the value that a PCR was extended by.
type Transform uint8

// PCR transformations.
const (
	TransformNone  Transform = 0
	TransformMatch Transform = 1 // hash length = PCR length
	TransformShort Transform = 2 // hash shorter: padded
	TransformLong  Transform = 3 // hash longer
)

// PCRInfo holds a PCR's values before and after the extension; same length.
type PCRInfo struct{ Before, After []byte }

// SimpleComponentEvidence is the Simple Component Evidence (TCG PTS Protocol
// Binding §3.15.1); see pts.md §2.2 for its layout.
type SimpleComponentEvidence struct {
	Depth       uint32
	Component   ComponentName
	PCR         uint32 // 24 bits: the PCR that was extended
	Hash        HashAlgorithms
	Transform   Transform
	Time        time.Time // of the measurement; zero = unknown
	Validation  Validation
	PolicyURI   string   // with ValidationFailed and ValidationPassed
	PCRs        *PCRInfo // nil: not included
	Measurement []byte
}

const (
	flagPCRInfo     = 0x80
	maskValidation  = 0x60
	measurementType = 0x80 // the only one in use: hash
)

func (v Validation) hasURI() bool { return v == ValidationFailed || v == ValidationPassed }

// Type returns TCG type 0x00300000.
func (SimpleComponentEvidence) Type() patnc.Type { return TypeSimpleComponentEvidence }

// AppendValue appends the value.
func (v SimpleComponentEvidence) AppendValue(b []byte) ([]byte, error) {
	flags := byte(v.Validation) & maskValidation
	if v.PCRs != nil {
		flags |= flagPCRInfo
	}
	out := wire.AppendU24(append(b, flags), v.Depth)
	out = append(v.Component.append(out), measurementType)
	out = wire.AppendU24(out, v.PCR)
	out = append(wire.AppendU16(out, uint16(v.Hash)), byte(v.Transform), 0)
	out = patnc.AppendTime(out, v.Time)
	var err error
	if v.Validation.hasURI() {
		if out, err = wire.AppendVec16(out, []byte(v.PolicyURI)); err != nil {
			return b, err
		}
	}
	if v.PCRs != nil {
		if len(v.PCRs.Before) != len(v.PCRs.After) {
			return b, wire.ErrLength
		}
		if out, err = wire.AppendVec16(out, v.PCRs.Before); err != nil {
			return b, err
		}
		out = append(out, v.PCRs.After...)
	}
	return append(out, v.Measurement...), nil
}

func parseSimpleComponentEvidence(b []byte) (patnc.Value, error) {
	r := reader(TypeSimpleComponentEvidence, b)
	start := r.Offset()
	flags := r.U8()
	v := SimpleComponentEvidence{Depth: r.U24(), Validation: Validation(flags & maskValidation)}
	v.Component = readComponentName(r, start)
	at := r.Offset()
	if t := r.U8(); t != measurementType {
		r.Fail(at, wire.ErrValue)
	}
	v.PCR = r.U24()
	v.Hash = HashAlgorithms(r.U16())
	v.Transform = Transform(r.U8())
	r.Skip(1)
	v.Time = readTime(r)
	if v.Validation.hasURI() {
		v.PolicyURI = text(r, int(r.U16()))
	}
	if flags&flagPCRInfo != 0 {
		n := int(r.U16())
		v.PCRs = &PCRInfo{Before: clone(r.Bytes(n)), After: clone(r.Bytes(n))}
	}
	v.Measurement = clone(r.Rest())
	return v, r.Err()
}

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
// §3.15.2); see pts.md §2.2 for its layout.
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

// readTime decodes the time of a measurement.
func readTime(r *wire.Reader) time.Time {
	at := r.Offset()
	b := r.Bytes(patnc.TimeSize)
	if r.Err() != nil {
		return time.Time{}
	}
	t, err := patnc.ParseTime(b)
	if err != nil {
		r.Fail(at, wire.ErrValue)
	}
	return t
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
