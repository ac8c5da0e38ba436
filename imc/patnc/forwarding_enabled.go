package patnc

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Forwarding says whether a device forwards IP packets (RFC 5792 section 4.2.11).
type Forwarding uint32

// States of forwarding.
const (
	ForwardingDisabled Forwarding = 0
	ForwardingEnabled  Forwarding = 1
	ForwardingUnknown  Forwarding = 2
)

func (f Forwarding) String() string {
	names := [...]string{"disabled", "enabled", "unknown"}
	if int64(f) < int64(len(names)) {
		return names[f]
	}
	return fmt.Sprintf("status %d", uint32(f))
}

// ForwardingStatus is Forwarding Enabled (RFC 5792 section 4.2.11): u32.
type ForwardingStatus struct{ Status Forwarding }

// Type returns IETF type 11.
func (ForwardingStatus) Type() Type { return TypeForwardingEnabled }

// AppendValue appends the value.
func (v ForwardingStatus) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU32(b, uint32(v.Status)), nil
}

func parseForwardingStatus(b []byte) (Value, error) {
	r := reader(TypeForwardingEnabled, b)
	at := r.Offset()
	v := ForwardingStatus{Status: Forwarding(r.U32())}
	if v.Status > ForwardingUnknown {
		r.Fail(at, wire.ErrValue)
	}
	return v, r.Finish()
}

// FactoryDefaultPassword is Factory Default Password Enabled (RFC 5792
// section 4.2.12): u32, 0 or 1.
type FactoryDefaultPassword struct{ Enabled bool }

// Type returns IETF type 12.
func (FactoryDefaultPassword) Type() Type { return TypeFactoryDefaultPassword }

// AppendValue appends the value.
func (v FactoryDefaultPassword) AppendValue(b []byte) ([]byte, error) {
	var n uint32
	if v.Enabled {
		n = 1
	}
	return wire.AppendU32(b, n), nil
}

func parseFactoryDefaultPassword(b []byte) (Value, error) {
	r := reader(TypeFactoryDefaultPassword, b)
	at := r.Offset()
	n := r.U32()
	if n > 1 {
		r.Fail(at, wire.ErrValue)
	}
	return FactoryDefaultPassword{Enabled: n == 1}, r.Finish()
}
