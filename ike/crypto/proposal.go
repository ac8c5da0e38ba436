package crypto

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/ike/message"
)

// ErrUnsupported is the cause where an algorithm is not implemented here.
var ErrUnsupported = errors.New("algorithm not supported")

// ErrNoProposal is the cause where both sides have no proposal in common.
var ErrNoProposal = errors.New("no acceptable proposal")

func encr(id, bits uint16) message.Transform {
	return message.Transform{Type: message.ENCR, ID: id, KeyBits: bits}
}
func prf(id uint16) message.Transform   { return message.Transform{Type: message.PRF, ID: id} }
func integ(id uint16) message.Transform { return message.Transform{Type: message.INTEG, ID: id} }
func kex(m message.KEMethod) message.Transform {
	return message.Transform{Type: message.KEXCH, ID: uint16(m)}
}
func esn(id uint16) message.Transform { return message.Transform{Type: message.ESN, ID: id} }

// addKE is the n-th additional key exchange, from 1.
func addKE(n int, m message.KEMethod) message.Transform {
	return message.Transform{Type: message.ADDKE1 + message.TransformType(n-1), ID: uint16(m)}
}

// prfOf maps INTEG to the PRF that strongSwan takes where none is named.
var prfOf = map[uint16]uint16{
	message.IntegHMACSHA196: message.PRFHMACSHA1, message.IntegHMACSHA256128: message.PRFHMACSHA256,
	message.IntegHMACSHA384192: message.PRFHMACSHA384, message.IntegHMACSHA512256: message.PRFHMACSHA512,
	message.IntegAESXCBC96: message.PRFAESXCBC, message.IntegAESCMAC96: message.PRFAESCMAC,
}

// ParseProposal reads one proposal in strongSwan's notation, algorithms
// joined by hyphens: "aes256gcm16-prfsha256-curve25519-ke1_mlkem768",
// "aes128-aes256-sha256-modp2048"; what comes first is preferred. "ke1_" to
// "ke7_" before a key exchange method make it an additional one (RFC 9370).
// "default" means DefaultIKE or DefaultESP. Protocol is ProtocolIKE or
// ProtocolESP. As in strongSwan, a missing PRF follows the integrity
// algorithms, AEAD ciphers drop those, ESP drops PRFs, IKE drops "none" as key
// exchange, and ESP without "esn" means "noesn".
func ParseProposal(protocol message.ProtocolID, s string) ([]message.Proposal, error) {
	fail := func(format string, a ...any) ([]message.Proposal, error) {
		return nil, fmt.Errorf("parse %s proposal %q: %w", protocol, s, fmt.Errorf(format, a...))
	}
	switch {
	case protocol != message.ProtocolIKE && protocol != message.ProtocolESP:
		return fail("protocol: %w", ErrUnsupported)
	case strings.TrimSpace(s) == "default" && protocol == message.ProtocolIKE:
		return DefaultIKE(), nil
	case strings.TrimSpace(s) == "default":
		return DefaultESP(), nil
	}
	byType := map[message.TransformType][]message.Transform{}
	for _, word := range strings.Split(strings.TrimSpace(s), "-") {
		w := strings.ToLower(strings.TrimSpace(word))
		t, err := keyword(w)
		if err != nil {
			return fail("%w", err)
		}
		if protocol == message.ProtocolIKE && t.Type == message.KEXCH && t.ID == uint16(message.KENone) {
			continue
		}
		byType[t.Type] = addUnique(byType[t.Type], t)
	}
	aead, classic := 0, 0
	for _, t := range byType[message.ENCR] {
		if encrAlgs[t.ID].aead {
			aead++
		} else {
			classic++
		}
	}
	switch {
	case aead+classic == 0:
		return fail("no cipher; add one such as aes256gcm16")
	case aead > 0 && classic > 0:
		return fail("AEAD and other ciphers need separate proposals; divide them with a comma")
	case classic > 0 && len(byType[message.INTEG]) == 0:
		return fail("no integrity algorithm; add one such as sha256")
	}
	var additional []message.Transform
	for t := message.ADDKE1; t <= message.ADDKE7; t++ {
		additional = append(additional, byType[t]...)
	}
	if len(additional) > 0 && len(byType[message.KEXCH]) == 0 {
		return fail("an additional key exchange without a first; add one such as x25519")
	}
	p := message.Proposal{Protocol: protocol, Transforms: byType[message.ENCR]}
	if classic > 0 {
		p.Transforms = append(p.Transforms, byType[message.INTEG]...)
	}
	if protocol == message.ProtocolIKE {
		prfs := byType[message.PRF]
		if len(prfs) == 0 {
			for _, t := range byType[message.INTEG] {
				prfs = addUnique(prfs, prf(prfOf[t.ID]))
			}
		}
		if len(prfs) == 0 {
			return fail("no PRF; add one such as prfsha256")
		}
		if len(byType[message.KEXCH]) == 0 {
			return fail("no key exchange; add one such as curve25519 or modp2048")
		}
		p.Transforms = slices.Concat(p.Transforms, prfs, byType[message.KEXCH], additional)
		return []message.Proposal{p}, nil
	}
	p.Transforms = slices.Concat(p.Transforms, byType[message.KEXCH], additional)
	if len(byType[message.ESN]) == 0 {
		byType[message.ESN] = []message.Transform{esn(message.ESNNo)}
	}
	p.Transforms = append(p.Transforms, byType[message.ESN]...)
	return []message.Proposal{p}, nil
}

// ParseProposals reads a list of proposals in order of preference. An empty
// list means "default".
func ParseProposals(protocol message.ProtocolID, list []string) ([]message.Proposal, error) {
	if len(list) == 0 {
		list = []string{"default"}
	}
	var all []message.Proposal
	for _, s := range list {
		ps, err := ParseProposal(protocol, s)
		if err != nil {
			return nil, err
		}
		all = append(all, ps...)
	}
	if len(all) > message.MaxProposals {
		return nil, fmt.Errorf("%d %s proposals: at most %d", len(all), protocol, message.MaxProposals)
	}
	return all, nil
}

func addUnique(ts []message.Transform, t message.Transform) []message.Transform {
	for _, v := range ts {
		if v.Equal(t) {
			return ts
		}
	}
	return append(ts, t)
}

func mustParse(protocol message.ProtocolID, list ...string) []message.Proposal {
	ps, err := ParseProposals(protocol, list)
	if err != nil {
		panic(err) // constant input, covered by tests
	}
	return ps
}

const defaultKE = "-curve25519-ecp256-ecp384-modp3072-modp4096-modp2048"

// DefaultIKE returns the IKE proposals that are offered where none are named:
// AES-GCM and ChaCha20-Poly1305, then AES-CBC with HMAC-SHA2; nothing weaker.
func DefaultIKE() []message.Proposal {
	return mustParse(message.ProtocolIKE,
		"aes256gcm16-aes128gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512"+defaultKE,
		"aes256-aes128-sha256-sha384-sha512-prfsha256-prfsha384-prfsha512"+defaultKE)
}

// DefaultESP returns the ESP proposals that are offered where none are named.
func DefaultESP() []message.Proposal {
	return mustParse(message.ProtocolESP,
		"aes256gcm16-aes128gcm16-chacha20poly1305",
		"aes256-aes128-sha256-sha384-sha512")
}

// WithOptionalKE returns p twice: with the key exchange methods of DefaultIKE, first
// before them, and as it is. It is what DefaultESP offers where there is a KE
// payload: some gateways insist on one (perfect forward secrecy), others have none.
// An additional key exchange is not among the methods.
func WithOptionalKE(p message.Proposal, first message.KEMethod) []message.Proposal {
	q := p.Clone()
	methods := DefaultIKE()[0].OfType(message.KEXCH)
	if first != message.KENone {
		methods = append([]message.Transform{kex(first)}, methods...)
	}
	for i, t := range methods {
		if i == 0 || t.ID != uint16(first) {
			q.Transforms = append(q.Transforms, t)
		}
	}
	return []message.Proposal{q, p.Clone()}
}

// WithoutKE returns ps without key exchange methods: what is offered for the
// CHILD_SA of IKE_AUTH, which has no KE payload.
func WithoutKE(ps []message.Proposal) []message.Proposal {
	out := make([]message.Proposal, 0, len(ps))
	for _, p := range ps {
		q := p.Clone()
		q.Transforms = q.Transforms[:0]
		for _, t := range p.Transforms {
			if t.Type < message.ADDKE1 && t.Type != message.KEXCH {
				q.Transforms = append(q.Transforms, t)
			}
		}
		out = append(out, q)
	}
	return out
}

// PreferredKE returns the first key exchange method of ps, the one to send a
// KE payload for; KENone where there is none.
func PreferredKE(ps []message.Proposal) message.KEMethod {
	for _, p := range ps {
		for _, t := range p.OfType(message.KEXCH) {
			return message.KEMethod(t.ID)
		}
	}
	return message.KENone
}

// OffersAdditionalKE reports whether a proposal has an additional key exchange
// (RFC 9370): N(INTERMEDIATE_EXCHANGE_SUPPORTED) then goes with the offer.
func OffersAdditionalKE(ps []message.Proposal) bool {
	for _, p := range ps {
		for _, t := range p.Transforms {
			if isADDKE(t.Type) && t.ID != uint16(message.KENone) {
				return true
			}
		}
	}
	return false
}

// OffersKE reports whether m is among the methods of ps: what INVALID_KE_PAYLOAD
// asks for must have been offered.
func OffersKE(ps []message.Proposal, m message.KEMethod) bool {
	for _, p := range ps {
		for _, t := range p.OfType(message.KEXCH) {
			if t.ID == uint16(m) && m != message.KENone {
				return true
			}
		}
	}
	return false
}

// ProposalString is strongSwan's form for logs, proposals joined by ", ":
// "IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048".
func ProposalString(ps ...message.Proposal) string {
	var all []string
	for _, p := range ps {
		var names []string
		for _, typ := range []message.TransformType{message.ENCR, message.INTEG, message.PRF, message.KEXCH} {
			for _, t := range p.OfType(typ) {
				names = append(names, transformName(t))
			}
		}
		for _, t := range p.OfType(message.ESN) {
			names = append(names, transformName(t))
		}
		for _, t := range p.Transforms {
			if t.Type > message.ESN || t.Type == 0 {
				names = append(names, transformName(t))
			}
		}
		all = append(all, p.Protocol.String()+":"+strings.Join(names, "/"))
	}
	return strings.Join(all, ", ")
}
