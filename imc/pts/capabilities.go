package pts

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Capabilities is the set of PTS protocol capabilities: the last five bits of a
// 32-bit field (TCG PTS Protocol Binding section 3.7).
type Capabilities uint32

// Capabilities.
const (
	CapXML     Capabilities = 0x01 // X: XML evidence
	CapTPM     Capabilities = 0x02 // T: trusted platform evidence
	CapDHNonce Capabilities = 0x04 // D: Diffie-Hellman nonce negotiation
	CapVerify  Capabilities = 0x08 // V: verification support
	CapCurrent Capabilities = 0x10 // C: current, in-memory evidence
)

// String gives the letters CVDTX, a dot for each capability that is absent.
func (c Capabilities) String() string {
	s := []byte("CVDTX")
	for i := range s {
		if c&(CapCurrent>>i) == 0 {
			s[i] = '.'
		}
	}
	return string(s)
}

// RequestProtocolCapabilities is the Request PTS Protocol Capabilities: u32.
type RequestProtocolCapabilities struct{ Capabilities Capabilities }

// ProtocolCapabilities is the PTS Protocol Capabilities: u32.
type ProtocolCapabilities struct{ Capabilities Capabilities }

// Type returns TCG type 0x01000000.
func (RequestProtocolCapabilities) Type() patnc.Type { return TypeRequestProtocolCapabilities }

// Type returns TCG type 0x02000000.
func (ProtocolCapabilities) Type() patnc.Type { return TypeProtocolCapabilities }

// AppendValue appends the value.
func (v RequestProtocolCapabilities) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU32(b, uint32(v.Capabilities)), nil
}

// AppendValue appends the value.
func (v ProtocolCapabilities) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU32(b, uint32(v.Capabilities)), nil
}

func parseRequestProtocolCapabilities(b []byte) (patnc.Value, error) {
	r := reader(TypeRequestProtocolCapabilities, b)
	v := RequestProtocolCapabilities{Capabilities(r.U32())}
	return v, r.Finish()
}

func parseProtocolCapabilities(b []byte) (patnc.Value, error) {
	r := reader(TypeProtocolCapabilities, b)
	v := ProtocolCapabilities{Capabilities(r.U32())}
	return v, r.Finish()
}
