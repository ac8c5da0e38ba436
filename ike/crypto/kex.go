package crypto

import (
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/bigmod"

	"github.com/gotnc/gotnc/ike/message"
)

// ErrPeerPublicKey is the cause where the peer's public value is malformed or
// would give a secret that everyone knows.
var ErrPeerPublicKey = errors.New("bad public value of the peer")

// KeyExchange is the initiator's side of one key exchange, for one use;
// RespondKE is the responder's.
type KeyExchange interface {
	Method() message.KEMethod
	// Public returns the data of the KE payload.
	Public() []byte
	// Shared returns the shared secret g^ir (RFC 7296 section 2.14). The caller
	// owns it and overwrites it after use.
	Shared(peer []byte) ([]byte, error)
	// Zero forgets the private value.
	Zero()
}

// NewKeyExchange makes a key pair for method m; rand nil: crypto/rand.
func NewKeyExchange(m message.KEMethod, rand io.Reader) (KeyExchange, error) {
	if c, ok := curves[m]; ok {
		k, err := newECKey(c.curve, c.size, randOr(rand))
		if err != nil {
			return nil, fmt.Errorf("make %s key: %w", m, err)
		}
		return &ecExchange{method: m, curve: c.curve, key: k}, nil
	}
	if g, ok := modpGroups[m]; ok {
		return newMODP(m, g, randOr(rand))
	}
	if g, ok := mlkemGroups[m]; ok {
		return newMLKEM(m, g, randOr(rand))
	}
	return nil, fmt.Errorf("make %s key: %w", m, ErrUnsupported)
}

// RespondKE is the responder's side of a key exchange in one step: it answers
// the initiator's public value with ours, a ciphertext for a KEM, whose
// randomness is always crypto/rand's. The caller owns both and overwrites shared after use.
func RespondKE(m message.KEMethod, rand io.Reader, peer []byte) (public, shared []byte, err error) {
	if g, ok := mlkemGroups[m]; ok {
		if shared, public, err = g.encapsulate(peer); err != nil {
			return nil, nil, fmt.Errorf("%s: %w: %w", m, ErrPeerPublicKey, err)
		}
		return public, shared, nil
	}
	x, err := NewKeyExchange(m, rand)
	if err != nil {
		return nil, nil, err
	}
	defer x.Zero()
	if shared, err = x.Shared(peer); err != nil {
		return nil, nil, err
	}
	return x.Public(), shared, nil
}

func supportedKE(m message.KEMethod) bool {
	_, ec := curves[m]
	_, modp := modpGroups[m]
	_, kem := mlkemGroups[m]
	return ec || modp || kem
}

var curves = map[message.KEMethod]struct {
	curve ecdh.Curve
	size  int // octets of a private value
}{
	message.KEECP256:     {ecdh.P256(), 32},
	message.KEECP384:     {ecdh.P384(), 48},
	message.KEECP521:     {ecdh.P521(), 66},
	message.KECurve25519: {ecdh.X25519(), 32},
}

// newECKey draws from rand itself: ecdh's GenerateKey does not use the source
// that it is given.
func newECKey(c ecdh.Curve, size int, rand io.Reader) (*ecdh.PrivateKey, error) {
	b := make([]byte, size)
	defer zero(b)
	var err error
	for range 64 { // P-521 rejects half of the values, the others almost none
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, err
		}
		if c == ecdh.P521() {
			b[0] &= 1
		}
		var k *ecdh.PrivateKey
		if k, err = c.NewPrivateKey(b); err == nil {
			return k, nil
		}
	}
	return nil, err
}

// ecExchange is ECP (RFC 5903: x|y without the leading 4, the secret is x) and
// X25519 (RFC 8031).
type ecExchange struct {
	method message.KEMethod
	curve  ecdh.Curve
	key    *ecdh.PrivateKey
}

func (e *ecExchange) Method() message.KEMethod { return e.method }

func (e *ecExchange) Public() []byte {
	if e.key == nil {
		return nil
	}
	b := e.key.PublicKey().Bytes()
	if e.curve != ecdh.X25519() {
		b = b[1:]
	}
	return b
}

func (e *ecExchange) Shared(peer []byte) ([]byte, error) {
	if e.key == nil {
		return nil, fmt.Errorf("%s: %w", e.method, errKeyGone)
	}
	enc := peer
	if e.curve != ecdh.X25519() {
		enc = append([]byte{4}, peer...)
	}
	pub, err := e.curve.NewPublicKey(enc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", e.method, ErrPeerPublicKey, err)
	}
	// Rejects the all-zero result of X25519.
	s, err := e.key.ECDH(pub)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", e.method, ErrPeerPublicKey, err)
	}
	return s, nil
}

func (e *ecExchange) Zero() { e.key = nil }

// modpExponent is the size of private exponents in octets; RFC 3526 section 8 wants
// at most 480 bits up to group 16, 620 for group 18 at the higher estimate,
// whose lower one is 310.
const modpExponent = 64

type modpGroup struct {
	prime   string
	modulus func() *bigmod.Modulus
}

func newGroup(prime string) modpGroup {
	return modpGroup{prime, sync.OnceValue(func() *bigmod.Modulus {
		b, err := hex.DecodeString(prime)
		if err != nil {
			panic(err) // constant input, covered by tests
		}
		m, err := bigmod.NewModulus(b)
		if err != nil {
			panic(err)
		}
		return m
	})}
}

var modpGroups = map[message.KEMethod]modpGroup{
	message.KEMODP1024: newGroup(primeMODP1024),
	message.KEMODP1536: newGroup(primeMODP1536),
	message.KEMODP2048: newGroup(primeMODP2048),
	message.KEMODP3072: newGroup(primeMODP3072),
	message.KEMODP4096: newGroup(primeMODP4096),
	message.KEMODP6144: newGroup(primeMODP6144),
	message.KEMODP8192: newGroup(primeMODP8192),
}

// modp is Diffie-Hellman with the primes of RFC 3526 and generator 2, in
// constant time. Public values and secrets are padded to the modulus.
type modp struct {
	method message.KEMethod
	m      *bigmod.Modulus
	x      []byte
	public []byte
}

func newMODP(method message.KEMethod, g modpGroup, rand io.Reader) (*modp, error) {
	d := &modp{method: method, m: g.modulus(), x: make([]byte, modpExponent)}
	if _, err := io.ReadFull(rand, d.x); err != nil {
		return nil, fmt.Errorf("make %s key: %w", method, err)
	}
	d.x[0] |= 0x80
	two := make([]byte, d.m.Size())
	two[len(two)-1] = 2
	base, err := bigmod.NewNat().SetBytes(two, d.m)
	if err != nil {
		return nil, fmt.Errorf("make %s key: %w", method, err)
	}
	d.public = bigmod.NewNat().Exp(base, d.x, d.m).Bytes(d.m)
	return d, nil
}

func (d *modp) Method() message.KEMethod { return d.method }

func (d *modp) Public() []byte { return append([]byte(nil), d.public...) }

func (d *modp) Shared(peer []byte) ([]byte, error) {
	if d.x == nil {
		return nil, fmt.Errorf("%s: %w", d.method, errKeyGone)
	}
	if len(peer) != d.m.Size() {
		return nil, fmt.Errorf("%s: %w: %d octets instead of %d", d.method, ErrPeerPublicKey, len(peer), d.m.Size())
	}
	y, err := bigmod.NewNat().SetBytes(peer, d.m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: not below the prime", d.method, ErrPeerPublicKey)
	}
	// The primes are safe: 0, 1 and p-1 are the only values of small order.
	if y.IsZero() == 1 || y.IsOne() == 1 || y.IsMinusOne(d.m) == 1 {
		return nil, fmt.Errorf("%s: %w: value of small order", d.method, ErrPeerPublicKey)
	}
	return bigmod.NewNat().Exp(y, d.x, d.m).Bytes(d.m), nil
}

func (d *modp) Zero() {
	zero(d.x)
	d.x = nil
}
