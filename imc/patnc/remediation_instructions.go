package patnc

import "github.com/gotnc/gotnc/internal/base/wire"

// Remediation parameter types of the IETF (RFC 5792 section 4.2.10).
const (
	RemediationURI    uint32 = 1
	RemediationString uint32 = 2
)

// RemediationInstructions are the Remediation Instructions (RFC 5792 section 4.2.10):
//
//	u8 0 | u24 vendor | u32 parameter type | parameters
//
// For the IETF's type 1 the parameters are a URI; for type 2 they are
//
//	u32 length, string | u8 length, language tag
type RemediationInstructions struct {
	Vendor     uint32
	Parameters uint32 // parameter type
	URI        string // IETF type 1
	String     string // IETF type 2
	Language   string // IETF type 2; RFC 5646 tag
	Data       []byte // all others, verbatim
}

// Type returns IETF type 10.
func (RemediationInstructions) Type() Type { return TypeRemediation }

// AppendValue appends the value.
func (v RemediationInstructions) AppendValue(b []byte) ([]byte, error) {
	out := wire.AppendU24(append(b, 0), v.Vendor)
	out = wire.AppendU32(out, v.Parameters)
	if v.Vendor != VendorIETF {
		return append(out, v.Data...), nil
	}
	switch v.Parameters {
	case RemediationURI:
		return append(out, v.URI...), nil
	case RemediationString:
		out, err := wire.AppendVec32(out, []byte(v.String))
		if err != nil {
			return b, err
		}
		if out, err = wire.AppendVec8(out, []byte(v.Language)); err != nil {
			return b, err
		}
		return out, nil
	}
	return append(out, v.Data...), nil
}

func parseRemediationInstructions(b []byte) (Value, error) {
	r := reader(TypeRemediation, b)
	r.Skip(1)
	v := RemediationInstructions{Vendor: r.U24(), Parameters: r.U32()}
	switch {
	case v.Vendor == VendorIETF && v.Parameters == RemediationURI:
		v.URI = restText(r)
	case v.Vendor == VendorIETF && v.Parameters == RemediationString:
		at := r.Offset()
		n := r.U32()
		if uint64(n) > uint64(r.Len()) {
			r.Fail(at, wire.ErrLength)
			return nil, r.Err()
		}
		v.String = readText(r, int(n))
		v.Language = vec8Text(r)
	default:
		v.Data = clone(r.Rest())
	}
	return v, r.Finish()
}
