package bios

import "io"

// MaxPadding is the most octets of padding that are read after the last event.
const MaxPadding = 64 << 20

// padded reports whether the area that the firmware reserved for the log goes on
// without events. Octets that were never written are 0xFF, which no event type is, or
// zero: PCR 0, EV_PREBOOT_CERT, which is reserved and was never used, and no digest.
func (r *Reader) padded() (b byte, ok bool) {
	empty := 12 // octets before the digests of an event of the crypto-agile format
	if r.header == nil {
		empty = 28
	}
	next, _ := r.in.Peek(empty)
	if r.n == 0 || len(next) < 4 {
		return 0, false
	}
	if b = next[0]; b != 0xFF && (b != 0 || len(next) < empty) {
		return 0, false
	}
	return b, same(next, b)
}

func same(octets []byte, b byte) bool {
	for _, x := range octets {
		if x != b {
			return false
		}
	}
	return true
}

// padding reads the log to its end and returns io.EOF where all octets are b.
func (r *Reader) padding(b byte) error {
	var window [4096]byte
	for n := 0; n < MaxPadding; {
		m, err := io.ReadFull(r.in, window[:])
		r.offset += int64(m)
		n += m
		if !same(window[:m], b) {
			return ErrPadding
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return io.EOF
		default:
			return err
		}
	}
	return ErrPadding
}
