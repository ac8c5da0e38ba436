package pts

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

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
// Evidence (TCG PTS Protocol Binding section 3.14.1): n × { u8 flags | u24 depth |
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
