package patnc

import "github.com/gotnc/gotnc/internal/base/wire"

// ProductInformation is the Product Information (RFC 5792 section 4.2.2):
//
//	u24 product vendor | u16 product ID | name
//
// Where the vendor is 0 the product ID is 0 too, and the creator's name belongs
// into the name.
type ProductInformation struct {
	Vendor  uint32 // Private Enterprise Number
	Product uint16
	Name    string // UTF-8
}

// Type returns IETF type 2.
func (ProductInformation) Type() Type { return TypeProductInformation }

// AppendValue appends the value.
func (v ProductInformation) AppendValue(b []byte) ([]byte, error) {
	if v.Vendor == 0 && v.Product != 0 {
		return b, wire.ErrValue
	}
	b = wire.AppendU24(b, v.Vendor)
	b = wire.AppendU16(b, v.Product)
	return append(b, v.Name...), nil
}

func parseProductInformation(b []byte) (Value, error) {
	r := reader(TypeProductInformation, b)
	v := ProductInformation{Vendor: r.U24()}
	at := r.Offset()
	v.Product = r.U16()
	v.Name = string(r.Rest())
	if v.Vendor == 0 && v.Product != 0 {
		r.Fail(at, wire.ErrValue)
	}
	return v, r.Err()
}
