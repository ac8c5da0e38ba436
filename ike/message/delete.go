package message

import (
	"fmt"
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Delete is the Delete payload (RFC 7296 section 3.11).
type Delete struct {
	Protocol ProtocolID
	SPIs     [][]byte // sender's inbound SPIs, all of the same size; none for an IKE SA
}

// Type returns TypeDelete.
func (*Delete) Type() PayloadType { return TypeDelete }

func parseDelete(r *wire.Reader) *Delete {
	d := &Delete{Protocol: ProtocolID(r.U8())}
	size := int(r.U8())
	count := int(r.U16())
	switch {
	case r.Err() != nil:
		return d
	case count > MaxSPIs:
		r.Fail(r.Offset()-2, fmt.Errorf("SPIs: %w", ErrTooMany))
		return d
	case size == 0 && count != 0, size*count != r.Len():
		r.Fail(r.Offset()-3, wire.ErrLength)
		return d
	}
	for range count {
		d.SPIs = append(d.SPIs, clone(r.Bytes(size)))
	}
	return d
}

// AppendBody appends protocol and SPIs.
func (d *Delete) AppendBody(b []byte) ([]byte, error) {
	size := 0
	if len(d.SPIs) > 0 {
		size = len(d.SPIs[0])
		if size == 0 {
			return b, fmt.Errorf("SPI: %w", wire.ErrLength)
		}
	}
	if size > math.MaxUint8 || len(d.SPIs) > MaxSPIs {
		return b, wire.ErrTooLong
	}
	out := wire.AppendU16(append(b, byte(d.Protocol), byte(size)), uint16(len(d.SPIs)))
	for _, s := range d.SPIs {
		if len(s) != size {
			return b, fmt.Errorf("SPIs of different sizes: %w", wire.ErrLength)
		}
		out = append(out, s...)
	}
	return out, nil
}
