package crypto

import (
	"crypto/mlkem"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/ike/message"
)

// mlkemGroup is a parameter set of ML-KEM (FIPS 203), used in IKEv2 as
// draft-ietf-ipsecme-ikev2-mlkem has it: the initiator sends the
// encapsulation key, the responder the ciphertext. The standard library has
// ML-KEM-768 and ML-KEM-1024, not ML-KEM-512.
type mlkemGroup struct {
	generate    func(seed []byte) (public []byte, decapsulate func(ciphertext []byte) ([]byte, error), err error)
	encapsulate func(public []byte) (shared, ciphertext []byte, err error)
}

var mlkemGroups = map[message.KEMethod]mlkemGroup{
	message.KEMLKEM768: {
		generate: func(seed []byte) ([]byte, func([]byte) ([]byte, error), error) {
			k, err := mlkem.NewDecapsulationKey768(seed)
			if err != nil {
				return nil, nil, err
			}
			return k.EncapsulationKey().Bytes(), k.Decapsulate, nil
		},
		encapsulate: func(public []byte) ([]byte, []byte, error) {
			k, err := mlkem.NewEncapsulationKey768(public)
			if err != nil {
				return nil, nil, err
			}
			s, c := k.Encapsulate()
			return s, c, nil
		},
	},
	message.KEMLKEM1024: {
		generate: func(seed []byte) ([]byte, func([]byte) ([]byte, error), error) {
			k, err := mlkem.NewDecapsulationKey1024(seed)
			if err != nil {
				return nil, nil, err
			}
			return k.EncapsulationKey().Bytes(), k.Decapsulate, nil
		},
		encapsulate: func(public []byte) ([]byte, []byte, error) {
			k, err := mlkem.NewEncapsulationKey1024(public)
			if err != nil {
				return nil, nil, err
			}
			s, c := k.Encapsulate()
			return s, c, nil
		},
	},
}

// mlkemExchange is the initiator's side. What is no ciphertext of its key
// yields a secret that the peer does not know (implicit rejection): AUTH fails
// then.
type mlkemExchange struct {
	method      message.KEMethod
	public      []byte
	decapsulate func([]byte) ([]byte, error) // nil after Zero
}

func newMLKEM(m message.KEMethod, g mlkemGroup, rand io.Reader) (*mlkemExchange, error) {
	seed := make([]byte, mlkem.SeedSize)
	defer zero(seed)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("make %s key: %w", m, err)
	}
	e := &mlkemExchange{method: m}
	var err error
	if e.public, e.decapsulate, err = g.generate(seed); err != nil {
		return nil, fmt.Errorf("make %s key: %w", m, err)
	}
	return e, nil
}

func (e *mlkemExchange) Method() message.KEMethod { return e.method }

func (e *mlkemExchange) Public() []byte { return append([]byte(nil), e.public...) }

func (e *mlkemExchange) Shared(peer []byte) ([]byte, error) {
	if e.decapsulate == nil {
		return nil, fmt.Errorf("%s: %w", e.method, errKeyGone)
	}
	s, err := e.decapsulate(peer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", e.method, ErrPeerPublicKey, err)
	}
	return s, nil
}

func (e *mlkemExchange) Zero() { e.decapsulate = nil }

var errKeyGone = errors.New("key is gone")
