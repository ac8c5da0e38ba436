package pts

import (
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/bigmod"
)

// SupportedGroups are the D-H groups that the Machine computes: those of the
// TCG's table, and ECP-521 for verifiers that offer it.
const SupportedGroups = MODP1024 | MODP1536 | MODP2048 | ECP256 | ECP384 | ECP521

// errPublicValue is a peer's public value that is outside its group or of
// small order.
var errPublicValue = errors.New("public value is not acceptable")

// exchange is one side of a Diffie-Hellman exchange for a single use.
type exchange interface {
	// public returns the public value as it goes on the wire: X ‖ Y, or the
	// number padded to the size of its prime.
	public() []byte
	// shared returns X, or the padded number.
	shared(peer []byte) ([]byte, error)
	zero()
}

// newExchange makes a key of one group of SupportedGroups.
func newExchange(group DHGroups, random io.Reader) (exchange, error) {
	switch group {
	case ECP256:
		return newECP(ecdh.P256(), 32, random)
	case ECP384:
		return newECP(ecdh.P384(), 48, random)
	case ECP521:
		return newECP(ecdh.P521(), 66, random)
	}
	for _, g := range modpGroups {
		if g.group == group {
			return newMODP(g.modulus(), random)
		}
	}
	return nil, fmt.Errorf("D-H group %v is not supported", group)
}

type ecp struct{ key *ecdh.PrivateKey }

// newECP draws from random itself: GenerateKey does not use what it is given.
func newECP(c ecdh.Curve, size int, random io.Reader) (*ecp, error) {
	b := make([]byte, size)
	defer clear(b)
	var err error
	for range 64 { // P-521 refuses half of the values, the others almost none
		if _, err = io.ReadFull(random, b); err != nil {
			return nil, err
		}
		if c == ecdh.P521() {
			b[0] &= 1
		}
		var k *ecdh.PrivateKey
		if k, err = c.NewPrivateKey(b); err == nil {
			return &ecp{k}, nil
		}
	}
	return nil, err
}

// public leaves the 0x04 of SEC 1 out.
func (e *ecp) public() []byte { return e.key.PublicKey().Bytes()[1:] }

func (e *ecp) shared(peer []byte) ([]byte, error) {
	p, err := e.key.Curve().NewPublicKey(append([]byte{4}, peer...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPublicValue, err)
	}
	return e.key.ECDH(p)
}

func (e *ecp) zero() { e.key = nil }

// modpExponent is the size of private exponents in octets, above what RFC 3526
// section 8 asks for the largest group here.
const modpExponent = 64

// modp is Diffie-Hellman modulo a safe prime with generator 2, in constant
// time.
type modp struct {
	m *bigmod.Modulus
	x []byte
	y []byte
}

func newMODP(m *bigmod.Modulus, random io.Reader) (*modp, error) {
	d := &modp{m: m, x: make([]byte, modpExponent)}
	if _, err := io.ReadFull(random, d.x); err != nil {
		return nil, err
	}
	d.x[0] |= 0x80
	two := make([]byte, m.Size())
	two[len(two)-1] = 2
	base, err := bigmod.NewNat().SetBytes(two, m)
	if err != nil {
		return nil, err
	}
	d.y = bigmod.NewNat().Exp(base, d.x, m).Bytes(m)
	return d, nil
}

func (d *modp) public() []byte { return clone(d.y) }

func (d *modp) shared(peer []byte) ([]byte, error) {
	if len(peer) != d.m.Size() {
		return nil, fmt.Errorf("%w: %d octets in place of %d", errPublicValue, len(peer), d.m.Size())
	}
	y, err := bigmod.NewNat().SetBytes(peer, d.m)
	if err != nil {
		return nil, fmt.Errorf("%w: not below the prime", errPublicValue)
	}
	// The primes are safe: 0, 1 and p-1 are the only values of small order.
	if y.IsZero() == 1 || y.IsOne() == 1 || y.IsMinusOne(d.m) == 1 {
		return nil, fmt.Errorf("%w: of small order", errPublicValue)
	}
	return bigmod.NewNat().Exp(y, d.x, d.m).Bytes(d.m), nil
}

func (d *modp) zero() { clear(d.x) }

// modpGroups are the groups of RFC 2409 section 6.2 and RFC 3526.
var modpGroups = [...]struct {
	group   DHGroups
	modulus func() *bigmod.Modulus
}{
	{MODP1024, prime("" +
		"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD" +
		"EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF")},
	{MODP1536, prime("" +
		"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD" +
		"EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F" +
		"83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF")},
	{MODP2048, prime("" +
		"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD" +
		"EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F" +
		"83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B" +
		"E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510" +
		"15728E5A8AACAA68FFFFFFFFFFFFFFFF")},
}

func prime(digits string) func() *bigmod.Modulus {
	return sync.OnceValue(func() *bigmod.Modulus {
		b, err := hex.DecodeString(digits)
		if err != nil {
			panic(err) // a constant that the tests compute with
		}
		m, err := bigmod.NewModulus(b)
		if err != nil {
			panic(err)
		}
		return m
	})
}
