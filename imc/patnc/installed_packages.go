package patnc

import (
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Package is one entry of InstalledPackages.
type Package struct {
	Name, Version string // UTF-8, at most 255 octets, no NUL
}

// InstalledPackages is the Installed Packages (RFC 5792 section 4.2.7):
//
//	u16 0 | u16 count | n × { u8 length, name | u8 length, version }
type InstalledPackages struct{ Packages []Package }

// Type returns IETF type 7.
func (InstalledPackages) Type() Type { return TypeInstalledPackages }

// AppendValue appends the value.
func (v InstalledPackages) AppendValue(b []byte) (out []byte, err error) {
	if len(v.Packages) > math.MaxUint16 {
		return b, wire.ErrTooLong
	}
	out = wire.AppendU16(append(b, 0, 0), uint16(len(v.Packages)))
	for _, p := range v.Packages {
		if out, err = wire.AppendVec8(out, []byte(p.Name)); err != nil {
			return b, err
		}
		if out, err = wire.AppendVec8(out, []byte(p.Version)); err != nil {
			return b, err
		}
	}
	return out, nil
}

func parseInstalledPackages(b []byte) (Value, error) {
	r := reader(TypeInstalledPackages, b)
	r.Skip(2)
	n := int(r.U16())
	if n > r.Len()/2 {
		r.Fail(r.Offset(), wire.ErrTruncated)
		return nil, r.Err()
	}
	v := InstalledPackages{Packages: make([]Package, 0, n)}
	for range n {
		v.Packages = append(v.Packages, Package{Name: vec8Text(r), Version: vec8Text(r)})
		if r.Err() != nil {
			return nil, r.Err()
		}
	}
	return v, r.Finish()
}
