package crypto

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
)

// maxAdditionalKE is how many key exchanges may follow the first (RFC 9370).
const maxAdditionalKE = int(message.ADDKE7-message.ADDKE1) + 1

// Suite is a chosen proposal: one algorithm of a type. Suites compare with ==.
type Suite struct {
	Protocol message.ProtocolID
	Encr     message.Transform
	PRF      message.Transform // IKE only
	Integ    message.Transform // zero for AEAD ciphers
	KE       message.KEMethod  // KENone for ESP without PFS
	ESN      bool              // ESP only

	// AddKE are the additional key exchanges ADDKE1 to ADDKE7 (RFC 9370);
	// KENone = none of that number.
	AddKE [maxAdditionalKE]message.KEMethod
}

// AdditionalKEs returns the additional key exchanges in the order in which they
// are run (RFC 9370 section 2.2.2).
func (s Suite) AdditionalKEs() (ms []message.KEMethod) {
	for _, m := range s.AddKE {
		if m != message.KENone {
			ms = append(ms, m)
		}
	}
	return ms
}

// SuiteOf returns the suite of a chosen proposal; all of its algorithms must
// be implemented here.
func SuiteOf(p message.Proposal) (Suite, error) {
	s := Suite{Protocol: p.Protocol}
	fail := func(format string, a ...any) (Suite, error) {
		return Suite{}, fmt.Errorf("suite of %s: %w", ProposalString(p), fmt.Errorf(format, a...))
	}
	seen := map[message.TransformType]bool{}
	for _, t := range p.Transforms {
		if seen[t.Type] {
			return fail("two transforms of type %s", t.Type)
		}
		seen[t.Type] = true
		if optional(t.Type) && t.ID == 0 && t.KeyBits == 0 && len(t.Attributes) == 0 {
			continue
		}
		if !supported(t) {
			return fail("%s: %w", transformName(t), ErrUnsupported)
		}
		if isADDKE(t.Type) {
			s.AddKE[t.Type-message.ADDKE1] = message.KEMethod(t.ID)
			continue
		}
		switch t.Type {
		case message.ENCR:
			s.Encr = t
		case message.PRF:
			s.PRF = t
		case message.INTEG:
			s.Integ = t
		case message.KEXCH:
			s.KE = message.KEMethod(t.ID)
		case message.ESN:
			s.ESN = t.ID == message.ESNYes
		}
	}
	ike := p.Protocol == message.ProtocolIKE
	switch {
	case !ike && p.Protocol != message.ProtocolESP:
		return fail("protocol: %w", ErrUnsupported)
	case s.Encr.Type == 0:
		return fail("no cipher: %w", ErrUnsupported)
	case s.AEAD() && s.Integ.Type != 0:
		return fail("integrity algorithm beside an AEAD cipher: %w", ErrUnsupported)
	case !s.AEAD() && s.Integ.Type == 0:
		return fail("no integrity algorithm: %w", ErrUnsupported)
	case ike && (s.PRF.Type == 0 || s.KE == message.KENone):
		return fail("no PRF or no key exchange: %w", ErrUnsupported)
	case s.AddKE != [maxAdditionalKE]message.KEMethod{} && s.KE == message.KENone:
		return fail("additional key exchange without a first: %w", ErrUnsupported)
	case s.repeatsKE():
		// "the same KE method MUST NOT be selected more than once" (RFC 9370 section 2.2.1)
		return fail("the same key exchange twice: %w", ErrUnsupported)
	case ike && s.ESN, !ike && s.PRF.Type != 0:
		return fail("transform of another protocol: %w", ErrUnsupported)
	}
	return s, nil
}

func (s Suite) repeatsKE() bool {
	seen := map[message.KEMethod]bool{s.KE: true}
	for _, m := range s.AdditionalKEs() {
		if seen[m] {
			return true
		}
		seen[m] = true
	}
	return false
}

// AEAD reports whether the cipher brings its own integrity protection.
func (s Suite) AEAD() bool { return encrAlgs[s.Encr.ID].aead }

// NewPRF returns the PRF of an IKE suite.
func (s Suite) NewPRF() (PRF, error) { return NewPRF(s.PRF.ID) }

// keySizes returns the octets of cipher key (with salt) and integrity key of
// one direction.
func (s Suite) keySizes() (encr, integ int, err error) {
	if encr, err = encrAlgs[s.Encr.ID].keySize(s.Encr); err != nil {
		return 0, 0, err
	}
	return encr, integAlgs[s.Integ.ID].key, nil
}

// Proposal returns s as a proposal with one transform of a type.
func (s Suite) Proposal() message.Proposal {
	p := message.Proposal{Protocol: s.Protocol, Transforms: []message.Transform{s.Encr}}
	if s.Integ.Type != 0 {
		p.Transforms = append(p.Transforms, s.Integ)
	}
	if s.PRF.Type != 0 {
		p.Transforms = append(p.Transforms, s.PRF)
	}
	if s.KE != message.KENone {
		p.Transforms = append(p.Transforms, kex(s.KE))
	}
	for i, m := range s.AddKE {
		if m != message.KENone {
			p.Transforms = append(p.Transforms, addKE(i+1, m))
		}
	}
	if s.Protocol == message.ProtocolESP {
		id := message.ESNNo
		if s.ESN {
			id = message.ESNYes
		}
		p.Transforms = append(p.Transforms, esn(id))
	}
	return p
}

// String is strongSwan's form: "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519".
func (s Suite) String() string { return ProposalString(s.Proposal()) }
