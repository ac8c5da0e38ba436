package signature

import (
	gocrypto "crypto"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/gotnc/gotnc/ike/message"
)

// Options choose among the schemes that fit a key.
type Options struct {
	// PeerHashes are what the peer announced with SIGNATURE_HASH_ALGORITHMS; nil
	// where it did not, and the schemes of RFC 7296 and RFC 4754 are left.
	PeerHashes []Hash
	// Schemes, where not empty, are the only ones, the preferred one first.
	Schemes []Scheme
	// Able, where not empty, are the only ones that the key makes: one in a TPM may be
	// bound to a scheme, and not every TPM has every hash.
	Able []Scheme
	// PSS prefers RSASSA-PSS with RSA keys (charon.rsa_pss).
	PSS bool
	// SHA1 signs with RSA over SHA-1 where nothing else is left; without it that is
	// ErrSHA1.
	SHA1 bool
}

// ErrSHA1: SHA-1 is broken, and a signature over it is neither made nor accepted
// unless the configuration says so (RFC 8247 section 3.2).
var ErrSHA1 = errors.New("signatures over SHA-1 are refused")

// ErrNoCommonScheme: the peer verifies none of the signatures that our key may
// make.
var ErrNoCommonScheme = errors.New("sign AUTH: no common signature scheme")

// Plan is an AUTH payload that is still to be signed: what a key outside of this
// program has to be asked for.
type Plan struct {
	Scheme Scheme
	// Digest is what the key signs: the hash of the octets, with Ed25519 the octets.
	Digest []byte

	method message.AuthMethod
	prefix []byte // of the payload's data: AlgorithmIdentifier and its length
	bits   int    // of the curve, where the payload holds r and s; else 0
}

// NewPlan chooses how a key signs the AUTH payload over octets
// (crypto.SignedOctets).
func NewPlan(pub gocrypto.PublicKey, octets []byte, o Options) (*Plan, error) {
	kind, bits := KeyOf(pub)
	if kind == AnyKey {
		return nil, fmt.Errorf("sign AUTH: keys of type %T are not supported", pub)
	}
	if o.PeerHashes == nil {
		return planClassic(kind, bits, octets, o)
	}
	for _, s := range o.candidates(kind, bits) {
		if s.Key != kind || !slices.Contains(o.PeerHashes, s.Hash) || !o.able(s) {
			continue
		}
		id, err := s.identifier()
		if err != nil {
			continue
		}
		return &Plan{Scheme: s, Digest: s.Hash.digest(octets), method: message.AuthDigitalSignature, prefix: append([]byte{byte(len(id))}, id...)}, nil
	}
	if len(o.Able) > 0 {
		return nil, fmt.Errorf("%w: the key signs with %v only, and the peer announced %v", ErrNoCommonScheme, o.Able, o.PeerHashes)
	}
	return nil, fmt.Errorf("%w: a %s key, and the peer announced %v", ErrNoCommonScheme, kind, o.PeerHashes)
}

// Sign has the key sign. It may block where the key is not in this program.
func (p *Plan) Sign(random io.Reader, key gocrypto.Signer) ([]byte, error) {
	sig, err := key.Sign(random, p.Digest, p.Scheme.options())
	if err != nil {
		return nil, fmt.Errorf("sign AUTH with %s: %w", p.Scheme, err)
	}
	return sig, nil
}

// Auth makes the payload of a signature of Sign.
func (p *Plan) Auth(sig []byte) (*message.Auth, error) {
	if p.bits == 0 {
		return &message.Auth{Method: p.method, Data: append(slices.Clone(p.prefix), sig...)}, nil
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &v); err != nil {
		return nil, fmt.Errorf("sign AUTH: %w", err)
	}
	n := (p.bits + 7) / 8
	if v.R.Sign() < 0 || v.S.Sign() < 0 || v.R.BitLen() > 8*n || v.S.BitLen() > 8*n {
		return nil, errors.New("sign AUTH: the key's signature is larger than its curve")
	}
	data := make([]byte, 2*n)
	v.R.FillBytes(data[:n])
	v.S.FillBytes(data[n:])
	return &message.Auth{Method: p.method, Data: data}, nil
}

// Sign makes the AUTH payload over octets (crypto.SignedOctets). It returns the
// scheme for the log.
func Sign(random io.Reader, key gocrypto.Signer, octets []byte, o Options) (*message.Auth, Scheme, error) {
	p, err := NewPlan(key.Public(), octets, o)
	if err != nil {
		return nil, Scheme{}, err
	}
	sig, err := p.Sign(random, key)
	if err != nil {
		return nil, p.Scheme, err
	}
	m, err := p.Auth(sig)
	return m, p.Scheme, err
}

// able reports whether the key can sign with s.
func (o Options) able(s Scheme) bool { return len(o.Able) == 0 || slices.Contains(o.Able, s) }

func (s Scheme) options() gocrypto.SignerOpts {
	if s.PSS {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.Hash.Func()}
	}
	return s.Hash.Func()
}

// candidates lists schemes in the order of preference: a hash as strong as the
// key first.
func (o Options) candidates(kind Key, bits int) []Scheme {
	if len(o.Schemes) > 0 {
		var out []Scheme
		for _, s := range o.Schemes {
			if s.Hash != 0 {
				out = append(out, s)
				continue
			}
			for _, h := range hashOrder(kind, bits) {
				out = append(out, Scheme{s.Key, s.PSS, h})
			}
		}
		return out
	}
	if kind == Ed25519 {
		return []Scheme{{Ed25519, false, Identity}}
	}
	var out []Scheme
	for _, h := range hashOrder(kind, bits) {
		out = append(out, Scheme{kind, false, h})
	}
	if kind == RSA && o.PSS {
		var pss []Scheme
		for _, s := range out {
			pss = append(pss, Scheme{RSA, true, s.Hash})
		}
		out = append(pss, out...)
	}
	return out
}

func hashOrder(kind Key, bits int) []Hash {
	switch {
	case kind == Ed25519:
		return []Hash{Identity}
	case kind == ECDSA && bits > 384, kind == RSA && bits > 7680:
		return []Hash{SHA512, SHA384, SHA256}
	case kind == ECDSA && bits > 256, kind == RSA && bits > 3072:
		return []Hash{SHA384, SHA512, SHA256}
	}
	return []Hash{SHA256, SHA384, SHA512}
}

// classic are the methods of RFC 4754: each binds curve and hash.
var classic = map[message.AuthMethod]struct {
	bits int
	hash Hash
}{
	message.AuthECDSA256: {256, SHA256},
	message.AuthECDSA384: {384, SHA384},
	message.AuthECDSA521: {521, SHA512},
}

// planClassic plans for a peer without RFC 7427.
func planClassic(kind Key, bits int, octets []byte, o Options) (*Plan, error) {
	only := func(s Scheme) error {
		if !o.able(s) {
			return fmt.Errorf("%w: the gateway knows no RFC 7427 signatures, and the key does not sign with %s", ErrNoCommonScheme, s)
		}
		if len(o.Schemes) == 0 || slices.ContainsFunc(o.Schemes, func(w Scheme) bool { return w.covers(s) }) {
			return nil
		}
		return fmt.Errorf("sign AUTH: the gateway knows no RFC 7427 signatures, and auth does not allow %s", s)
	}
	switch kind {
	case RSA:
		s := Scheme{RSA, false, SHA1}
		if err := only(s); err != nil {
			return nil, err
		}
		if !o.SHA1 {
			return nil, fmt.Errorf("sign AUTH: the gateway knows no RFC 7427 signatures, and our RSA key would have to sign with %s: %w", s, ErrSHA1)
		}
		return &Plan{Scheme: s, Digest: SHA1.digest(octets), method: message.AuthRSA}, nil
	case ECDSA:
		for method, c := range classic {
			if c.bits != bits {
				continue
			}
			s := Scheme{ECDSA, false, c.hash}
			if err := only(s); err != nil {
				return nil, err
			}
			return &Plan{Scheme: s, Digest: c.hash.digest(octets), method: method, bits: bits}, nil
		}
	}
	return nil, fmt.Errorf("sign AUTH: the gateway knows no RFC 7427 signatures, which our %s key of %d bits needs", kind, bits)
}
