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

// Sign makes the AUTH payload over octets (crypto.SignedOctets). It returns the
// scheme for the log.
func Sign(random io.Reader, key gocrypto.Signer, octets []byte, o Options) (*message.Auth, Scheme, error) {
	kind, bits := KeyOf(key.Public())
	if kind == AnyKey {
		return nil, Scheme{}, fmt.Errorf("sign AUTH: keys of type %T are not supported", key.Public())
	}
	if o.PeerHashes == nil {
		return signClassic(random, key, kind, bits, octets, o)
	}
	for _, s := range o.candidates(kind, bits) {
		if s.Key != kind || !slices.Contains(o.PeerHashes, s.Hash) {
			continue
		}
		id, err := s.identifier()
		if err != nil {
			continue
		}
		sig, err := key.Sign(random, s.Hash.digest(octets), s.options())
		if err != nil {
			return nil, s, fmt.Errorf("sign AUTH with %s: %w", s, err)
		}
		data := append([]byte{byte(len(id))}, id...)
		return &message.Auth{Method: message.AuthDigitalSignature, Data: append(data, sig...)}, s, nil
	}
	return nil, Scheme{}, fmt.Errorf("%w: a %s key, and the peer announced %v", ErrNoCommonScheme, kind, o.PeerHashes)
}

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

// signClassic signs for a peer without RFC 7427.
func signClassic(random io.Reader, key gocrypto.Signer, kind Key, bits int, octets []byte, o Options) (*message.Auth, Scheme, error) {
	only := func(s Scheme) error {
		if len(o.Schemes) == 0 || slices.ContainsFunc(o.Schemes, func(w Scheme) bool { return w.covers(s) }) {
			return nil
		}
		return fmt.Errorf("sign AUTH: the gateway knows no RFC 7427 signatures, and auth does not allow %s", s)
	}
	switch kind {
	case RSA:
		s := Scheme{RSA, false, SHA1}
		if err := only(s); err != nil {
			return nil, s, err
		}
		if !o.SHA1 {
			return nil, s, fmt.Errorf("sign AUTH: the gateway knows no RFC 7427 signatures, and our RSA key would have to sign with %s: %w", s, ErrSHA1)
		}
		sig, err := key.Sign(random, SHA1.digest(octets), gocrypto.SHA1)
		return &message.Auth{Method: message.AuthRSA, Data: sig}, s, err
	case ECDSA:
		for method, c := range classic {
			if c.bits != bits {
				continue
			}
			s := Scheme{ECDSA, false, c.hash}
			if err := only(s); err != nil {
				return nil, s, err
			}
			der, err := key.Sign(random, c.hash.digest(octets), c.hash.Func())
			if err != nil {
				return nil, s, fmt.Errorf("sign AUTH: %w", err)
			}
			var v struct{ R, S *big.Int }
			if _, err := asn1.Unmarshal(der, &v); err != nil {
				return nil, s, fmt.Errorf("sign AUTH: %w", err)
			}
			n := (bits + 7) / 8
			data := make([]byte, 2*n)
			v.R.FillBytes(data[:n])
			v.S.FillBytes(data[n:])
			return &message.Auth{Method: method, Data: data}, s, nil
		}
	}
	return nil, Scheme{}, fmt.Errorf("sign AUTH: the gateway knows no RFC 7427 signatures, which our %s key of %d bits needs", kind, bits)
}
