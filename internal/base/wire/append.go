package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// AppendU16 appends v big-endian.
func AppendU16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// AppendU24 appends the low 24 bits of v big-endian.
func AppendU24(b []byte, v uint32) []byte { return append(b, byte(v>>16), byte(v>>8), byte(v)) }

// AppendU32 appends v big-endian.
func AppendU32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendU64 appends v big-endian.
func AppendU64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// AppendVec8 appends v behind a length of one octet; ErrTooLong over 255.
func AppendVec8(b, v []byte) ([]byte, error) {
	if len(v) > math.MaxUint8 {
		return b, fmt.Errorf("%d octets: %w", len(v), ErrTooLong)
	}
	return append(append(b, byte(len(v))), v...), nil
}

// AppendVec16 appends v behind a length of two octets; ErrTooLong over 65535.
func AppendVec16(b, v []byte) ([]byte, error) {
	if len(v) > math.MaxUint16 {
		return b, fmt.Errorf("%d octets: %w", len(v), ErrTooLong)
	}
	return append(AppendU16(b, uint16(len(v))), v...), nil
}

// AppendVec32 appends v behind a length of four octets.
func AppendVec32(b, v []byte) ([]byte, error) {
	if uint64(len(v)) > math.MaxUint32 {
		return b, fmt.Errorf("%d octets: %w", len(v), ErrTooLong)
	}
	return append(AppendU32(b, uint32(len(v))), v...), nil
}

// PutU16At overwrites two octets at offset off of b, a length field that was
// reserved there.
func PutU16At(b []byte, off int, v uint16) { binary.BigEndian.PutUint16(b[off:], v) }

// PutU32At overwrites four octets at offset off of b.
func PutU32At(b []byte, off int, v uint32) { binary.BigEndian.PutUint32(b[off:], v) }
