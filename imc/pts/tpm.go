package pts

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// GetTPMVersionInformation is the Get TPM Version Information: u32 0.
type GetTPMVersionInformation struct{}

// Type returns TCG type 0x08000000.
func (GetTPMVersionInformation) Type() patnc.Type { return TypeGetTPMVersionInformation }

// AppendValue appends the value.
func (GetTPMVersionInformation) AppendValue(b []byte) ([]byte, error) {
	return append(b, 0, 0, 0, 0), nil
}

// TPMVersionInformation carries TPM_CAP_VERSION_INFO, or strongSwan's 16-octet
// form for TPM 2.0, verbatim.
type TPMVersionInformation struct{ Info []byte }

// Type returns TCG type 0x09000000.
func (TPMVersionInformation) Type() patnc.Type { return TypeTPMVersionInformation }

// AppendValue appends the value.
func (v TPMVersionInformation) AppendValue(b []byte) ([]byte, error) {
	return append(b, v.Info...), nil
}

// GetAIK is the Get Attestation Identity Key: u32 0.
type GetAIK struct{}

// Type returns TCG type 0x0D000000.
func (GetAIK) Type() patnc.Type { return TypeGetAIK }

// AppendValue appends the value.
func (GetAIK) AppendValue(b []byte) ([]byte, error) { return append(b, 0, 0, 0, 0), nil }

// AIK is the Attestation Identity Key: u8 flags, 0x80 = naked | DER.
type AIK struct {
	Naked bool // DER is a SubjectPublicKeyInfo instead of an X.509 certificate
	DER   []byte
}

// Type returns TCG type 0x0E000000.
func (AIK) Type() patnc.Type { return TypeAIK }

const flagNaked = 0x80

// AppendValue appends the value.
func (v AIK) AppendValue(b []byte) ([]byte, error) {
	var flags byte
	if v.Naked {
		flags = flagNaked
	}
	return append(append(b, flags), v.DER...), nil
}

// parseReserved reads the four octets that hold nothing.
func parseReserved(r *wire.Reader) error {
	r.Skip(4)
	return r.Finish()
}

func parseGetTPMVersionInformation(b []byte) (patnc.Value, error) {
	r := reader(TypeGetTPMVersionInformation, b)
	return GetTPMVersionInformation{}, parseReserved(r)
}

func parseGetAIK(b []byte) (patnc.Value, error) {
	r := reader(TypeGetAIK, b)
	return GetAIK{}, parseReserved(r)
}

func parseTPMVersionInformation(b []byte) (patnc.Value, error) {
	r := reader(TypeTPMVersionInformation, b)
	if r.Len() < 4 {
		r.Fail(r.Offset(), wire.ErrTruncated)
	}
	v := TPMVersionInformation{Info: clone(r.Rest())}
	return v, r.Err()
}

func parseAIK(b []byte) (patnc.Value, error) {
	r := reader(TypeAIK, b)
	if r.Len() < 4 {
		r.Fail(r.Offset(), wire.ErrTruncated)
	}
	v := AIK{Naked: r.U8()&flagNaked != 0}
	v.DER = clone(r.Rest())
	return v, r.Err()
}
