package message

import "github.com/gotnc/gotnc/internal/base/wire"

// Sizes of a nonce in octets (RFC 7296 section 3.9).
const (
	MinNonce = 16
	MaxNonce = 256
)

// Nonce is the Nonce payload (RFC 7296 section 3.9).
type Nonce struct{ Data []byte }

// Type returns TypeNonce.
func (*Nonce) Type() PayloadType { return TypeNonce }

func parseNonce(r *wire.Reader) *Nonce {
	if n := r.Len(); r.Err() == nil && (n < MinNonce || n > MaxNonce) {
		r.Fail(r.Offset(), wire.ErrLength)
	}
	return &Nonce{Data: clone(r.Rest())}
}

// AppendBody appends the nonce, which has 16 to 256 octets.
func (p *Nonce) AppendBody(b []byte) ([]byte, error) {
	if len(p.Data) < MinNonce || len(p.Data) > MaxNonce {
		return b, wire.ErrLength
	}
	return append(b, p.Data...), nil
}
