package crypto

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/gotnc/gotnc/ike/message"
)

// IKEKeys are the keys of an IKE SA (RFC 7296 section 2.14). Ai and Ar are empty with
// AEAD ciphers, whose Ei and Er end in the salt.
type IKEKeys struct{ D, Ai, Ar, Ei, Er, Pi, Pr []byte }

// Zero overwrites all keys.
func (k *IKEKeys) Zero() {
	if k != nil {
		zero(k.D, k.Ai, k.Ar, k.Ei, k.Er, k.Pi, k.Pr)
	}
}

// LogValue redacts.
func (k *IKEKeys) LogValue() slog.Value { return slog.StringValue(redacted) }

// String redacts.
func (k *IKEKeys) String() string { return redacted }

// GoString redacts.
func (k *IKEKeys) GoString() string { return redacted }

// DeriveIKE returns the keys of a new IKE SA: SKEYSEED = prf(Ni | Nr, g^ir).
func DeriveIKE(s Suite, shared, ni, nr []byte, spii, spir message.SPI) (*IKEKeys, error) {
	prf, err := s.NewPRF()
	if err != nil {
		return nil, fmt.Errorf("derive IKE keys: %w", err)
	}
	kn, kr := ni, nr
	if n := prf.alg.nonce; n > 0 {
		kn, kr = ni[:min(n, len(ni))], nr[:min(n, len(nr))]
	}
	seed := prf.Sum(slices.Concat(kn, kr), shared)
	defer zero(seed)
	return expandIKE(prf, s, seed, ni, nr, spii, spir)
}

// DeriveIKERekey returns the keys of an IKE SA that replaces one whose PRF is
// oldPRF and whose SK_d is oldD (RFC 7296 section 2.18): SKEYSEED = prf(SK_d (old), g^ir | Ni | Nr
// [| SK(1) … SK(n)]); additional are the secrets of additional key exchanges
// (RFC 9370 section 2.2.4). With the same suite, nonces and SPIs it is also the step
// after an IKE_INTERMEDIATE exchange, whose secret is shared (RFC 9370 section 2.2.2). The keys are expanded with the PRF of the new suite, as the RFC says;
// strongSwan takes the old one, so keep the PRF across a rekey.
func DeriveIKERekey(s Suite, oldPRF PRF, oldD, shared, ni, nr []byte, spii, spir message.SPI, additional ...[]byte) (*IKEKeys, error) {
	prf, err := s.NewPRF()
	if err != nil {
		return nil, fmt.Errorf("derive IKE keys: %w", err)
	}
	seed := oldPRF.Sum(oldD, slices.Concat([][]byte{shared, ni, nr}, additional)...)
	defer zero(seed)
	return expandIKE(prf, s, seed, ni, nr, spii, spir)
}

func expandIKE(prf PRF, s Suite, seed, ni, nr []byte, spii, spir message.SPI) (*IKEKeys, error) {
	e, a, err := s.keySizes()
	if err != nil {
		return nil, fmt.Errorf("derive IKE keys: %w", err)
	}
	p := prf.Size()
	km, err := prf.Plus(seed, slices.Concat(ni, nr, spii.Bytes(), spir.Bytes()), 3*p+2*a+2*e)
	if err != nil {
		return nil, fmt.Errorf("derive IKE keys: %w", err)
	}
	k := &IKEKeys{}
	for _, part := range []struct {
		to *[]byte
		n  int
	}{{&k.D, p}, {&k.Ai, a}, {&k.Ar, a}, {&k.Ei, e}, {&k.Er, e}, {&k.Pi, p}, {&k.Pr, p}} {
		*part.to, km = km[:part.n:part.n], km[part.n:]
	}
	return k, nil
}

// ChildKeys are the keys of a CHILD_SA, by direction (RFC 7296 section 2.17): Ei and
// Ai protect what the initiator of the exchange sends. Ei and Er of AEAD
// ciphers end in the salt, and Ai and Ar are empty then.
type ChildKeys struct{ Ei, Ai, Er, Ar []byte }

// Zero overwrites all keys.
func (k *ChildKeys) Zero() {
	if k != nil {
		zero(k.Ei, k.Ai, k.Er, k.Ar)
	}
}

// LogValue redacts.
func (k *ChildKeys) LogValue() slog.Value { return slog.StringValue(redacted) }

// String redacts.
func (k *ChildKeys) String() string { return redacted }

// GoString redacts.
func (k *ChildKeys) GoString() string { return redacted }

// DeriveChild returns the keys of a CHILD_SA with the ESP suite esp: KEYMAT =
// prf+(SK_d, [g^ir |] Ni | Nr [| SK(1) … SK(n)]). Prf is the PRF of the IKE SA;
// shared is nil without a key exchange of its own, additional are the secrets
// of additional key exchanges (RFC 9370 section 2.2.4).
func DeriveChild(prf PRF, skd []byte, esp Suite, shared, ni, nr []byte, additional ...[]byte) (*ChildKeys, error) {
	e, a, err := esp.keySizes()
	if err != nil {
		return nil, fmt.Errorf("derive CHILD_SA keys: %w", err)
	}
	seed := slices.Concat(slices.Concat([][]byte{shared, ni, nr}, additional)...)
	defer zero(seed)
	km, err := prf.Plus(skd, seed, 2*(e+a))
	if err != nil {
		return nil, fmt.Errorf("derive CHILD_SA keys: %w", err)
	}
	return &ChildKeys{Ei: km[:e:e], Ai: km[e : e+a : e+a], Er: km[e+a : 2*e+a : 2*e+a], Ar: km[2*e+a : 2*(e+a) : 2*(e+a)]}, nil
}
