package message

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// SK is the Encrypted payload (RFC 7296 section 3.14), sealed.
type SK struct {
	Next PayloadType // first payload inside
	Body []byte      // IV, ciphertext, ICV
}

// Type returns TypeSK.
func (*SK) Type() PayloadType { return TypeSK }

func parseSK(next PayloadType, r *wire.Reader) *SK {
	return &SK{Next: next, Body: clone(r.Rest())}
}

// AppendBody appends the sealed body.
func (p *SK) AppendBody(b []byte) ([]byte, error) { return append(b, p.Body...), nil }

// SKF is the Encrypted Fragment payload (RFC 7383 section 2.5), sealed:
//
//	number (2) | total (2) | IV | ciphertext | ICV
type SKF struct {
	Next   PayloadType // first payload inside; 0 in all fragments but the first
	Number uint16      // from 1
	Total  uint16
	Body   []byte // IV, ciphertext, ICV
}

// Type returns TypeSKF.
func (*SKF) Type() PayloadType { return TypeSKF }

func parseSKF(next PayloadType, r *wire.Reader) *SKF {
	at := r.Offset()
	p := &SKF{Next: next, Number: r.U16(), Total: r.U16()}
	if r.Err() == nil && (p.Number == 0 || p.Number > p.Total) {
		r.Fail(at, fmt.Errorf("fragment %d of %d: %w", p.Number, p.Total, wire.ErrValue))
	}
	p.Body = clone(r.Rest())
	return p
}

// AppendBody appends numbers and sealed body.
func (p *SKF) AppendBody(b []byte) ([]byte, error) {
	if p.Number == 0 || p.Number > p.Total {
		return b, fmt.Errorf("fragment %d of %d: %w", p.Number, p.Total, wire.ErrValue)
	}
	return append(wire.AppendU16(wire.AppendU16(b, p.Number), p.Total), p.Body...), nil
}

func (p *SKF) summary() string { return fmt.Sprintf("EF(%d/%d)", p.Number, p.Total) }
