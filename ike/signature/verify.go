package signature

import (
	gocrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/gotnc/gotnc/ike/message"
)

// MinRSABits is the size that an RSA key needs.
const MinRSABits = 2048

// ErrMismatch: the signature was not made by this key over these octets.
var ErrMismatch = errors.New("does not verify")

// Verify checks an AUTH payload over octets with a public key (RFC 7296 section 3.8,
// RFC 4754, RFC 7427), and returns how it was signed. A hash that is not
// Announced is not accepted, but for method 1, which is bound to SHA-1.
func Verify(pub gocrypto.PublicKey, auth *message.Auth, octets []byte) (Scheme, error) {
	kind, bits := KeyOf(pub)
	if kind == RSA && bits < MinRSABits {
		return Scheme{}, fmt.Errorf("its RSA key has %d bits, at least %d are needed", bits, MinRSABits)
	}
	bad := fmt.Errorf("its %s %w with the %s key", auth.Method, ErrMismatch, kind)
	switch auth.Method {
	case message.AuthRSA:
		s := Scheme{RSA, false, SHA1}
		if !s.verify(pub, octets, auth.Data) {
			return s, bad
		}
		return s, nil
	case message.AuthECDSA256, message.AuthECDSA384, message.AuthECDSA521:
		c := classic[auth.Method]
		s := Scheme{ECDSA, false, c.hash}
		n := (c.bits + 7) / 8
		if kind != ECDSA || bits != c.bits || len(auth.Data) != 2*n {
			return s, bad
		}
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(auth.Data[:n]), new(big.Int).SetBytes(auth.Data[n:])})
		if err != nil || !s.verify(pub, octets, der) {
			return s, bad
		}
		return s, nil
	case message.AuthDigitalSignature:
		if len(auth.Data) < 1 || len(auth.Data) < 1+int(auth.Data[0]) {
			return Scheme{}, bad
		}
		n := 1 + int(auth.Data[0])
		s, err := schemeOf(auth.Data[1:n])
		if err != nil {
			return s, err
		}
		if !slices.Contains(Announced, s.Hash) {
			return s, fmt.Errorf("it signed with %s, which we did not announce", s)
		}
		if !s.verify(pub, octets, auth.Data[n:]) {
			return s, bad
		}
		return s, nil
	}
	return Scheme{}, fmt.Errorf("its authentication method %s is not supported", auth.Method)
}

func (s Scheme) verify(pub gocrypto.PublicKey, octets, sig []byte) bool {
	sum := s.Hash.digest(octets)
	switch k := pub.(type) {
	case *rsa.PublicKey:
		switch {
		case s.Key != RSA:
			return false
		case s.PSS:
			return rsa.VerifyPSS(k, s.Hash.Func(), sum, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, s.Hash.Func(), sum, sig) == nil
	case *ecdsa.PublicKey:
		return s.Key == ECDSA && ecdsa.VerifyASN1(k, sum, sig)
	case ed25519.PublicKey:
		return s.Key == Ed25519 && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, octets, sig)
	}
	return false
}
