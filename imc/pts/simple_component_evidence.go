package pts

import (
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

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
// Binding section 3.15.1):
//
//	u8 flags: 0x80 PCR values included, 0x60 validation | u24 sub-component depth
//	| component name (8) | u8 measurement type, 0x80 | u24 PCR | u16 hash algorithm
//	| u8 transform | u8 0 | time (20)
//	| with ValidationFailed and ValidationPassed: u16 length, policy URI
//	| with flag 0x80: u16 length, PCR value before | PCR value after, of that length
//	| measurement
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
		v.PolicyURI = readText(r, int(r.U16()))
	}
	if flags&flagPCRInfo != 0 {
		n := int(r.U16())
		v.PCRs = &PCRInfo{Before: clone(r.Bytes(n)), After: clone(r.Bytes(n))}
	}
	v.Measurement = clone(r.Rest())
	return v, r.Err()
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
