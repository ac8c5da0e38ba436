package message

import "github.com/gotnc/gotnc/internal/base/wire"

// VendorID is the Vendor ID payload (RFC 7296 section 3.12).
type VendorID struct{ Data []byte }

// Type returns TypeVendorID.
func (*VendorID) Type() PayloadType { return TypeVendorID }

func parseVendorID(r *wire.Reader) *VendorID { return &VendorID{Data: clone(r.Rest())} }

// AppendBody appends the vendor ID.
func (p *VendorID) AppendBody(b []byte) ([]byte, error) { return append(b, p.Data...), nil }

// Raw is a payload of a type that this package does not know, kept verbatim.
type Raw struct {
	PayloadType PayloadType
	Critical    bool // written only; a received one is an UnsupportedCriticalError
	Body        []byte
}

// Type returns the unknown type.
func (p *Raw) Type() PayloadType { return p.PayloadType }

func parseRaw(t PayloadType, r *wire.Reader) *Raw { return &Raw{PayloadType: t, Body: clone(r.Rest())} }

// AppendBody appends the body.
func (p *Raw) AppendBody(b []byte) ([]byte, error) { return append(b, p.Body...), nil }
