package crypto

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
)

// PRF is a pseudo-random function (RFC 7296 section 2.13). It is
// safe for concurrent use.
type PRF struct{ alg prfAlg }

// NewPRF returns the PRF of transform ID id.
func NewPRF(id uint16) (PRF, error) {
	a, ok := prfAlgs[id]
	if !ok {
		return PRF{}, fmt.Errorf("%s: %w", transformName(message.Transform{Type: message.PRF, ID: id}), ErrUnsupported)
	}
	return PRF{a}, nil
}

// Size returns the octets of the preferred key and of the output.
func (p PRF) Size() int { return p.alg.size }

// String returns strongSwan's name.
func (p PRF) String() string { return p.alg.name }

// Sum returns prf(key, data[0] | data[1] | …).
func (p PRF) Sum(key []byte, data ...[]byte) []byte {
	h := p.alg.mac(key)
	for _, d := range data {
		h.Write(d)
	}
	return h.Sum(nil)
}

// Plus returns n octets of prf+(key, seed) (RFC 7296 section 2.13); at most 255
// times Size.
func (p PRF) Plus(key, seed []byte, n int) ([]byte, error) {
	if n < 0 || p.alg.size == 0 || n > 255*p.alg.size {
		return nil, fmt.Errorf("prf+ of %d octets: %w", n, errors.New("longer than 255 blocks"))
	}
	out := make([]byte, 0, n+p.alg.size)
	var t []byte
	for i := byte(1); len(out) < n; i++ {
		t = p.Sum(key, t, seed, []byte{i})
		out = append(out, t...)
	}
	zero(out[n:])
	return out[:n:n], nil
}
