package stream

import (
	"errors"
	"io"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// bufferSize holds the largest packet and more, so that one read brings many.
const bufferSize = 4 << 16

// Reader takes packets off a stream behind its prefix.
type Reader struct {
	r          io.Reader
	buf        []byte
	start, end int // of what was read and not yet returned
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r, buf: make([]byte, bufferSize)} }

// Next waits for a packet and returns it with those that came with it whole, in
// order: views that are valid, and may be changed, until the next call. It returns
// at most len(into) of them, in into. io.EOF is an end between packets.
func (r *Reader) Next(into [][]byte) ([][]byte, error) {
	out := into[:0]
	for {
		for len(out) < cap(into) {
			packet, _, err := ParsePacket(r.buf[r.start:r.end])
			if err != nil {
				if !errors.Is(err, wire.ErrTruncated) && len(out) == 0 {
					return nil, err
				}
				break // more is needed, or it is an error of the next call
			}
			r.start += lengthLen + len(packet)
			out = append(out, packet)
		}
		if len(out) > 0 {
			return out, nil
		}
		if r.start > 0 {
			r.end = copy(r.buf, r.buf[r.start:r.end])
			r.start = 0
		}
		n, err := r.r.Read(r.buf[r.end:])
		r.end += n
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) && r.end > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}
