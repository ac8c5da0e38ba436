package crypto

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
)

// SAPayload returns the SA payload that offers ps with the given SPI (nil in
// IKE_SA_INIT); the proposals are numbered from 1.
func SAPayload(ps []message.Proposal, spi []byte) *message.SA {
	sa := &message.SA{}
	for i, p := range ps {
		q := p.Clone()
		q.Number = uint8(i + 1)
		q.SPI = append([]byte(nil), spi...)
		sa.Proposals = append(sa.Proposals, q)
	}
	return sa
}

// optional reports whether a proposal without transforms of type t means the
// same as one with ID 0: no integrity (AEAD), no key exchange, no ESN.
func optional(t message.TransformType) bool {
	return t == message.INTEG || t == message.KEXCH || t == message.ESN || isADDKE(t)
}

// CheckChosen checks the responder's SA payload against what was offered with
// SAPayload: exactly one proposal, of an offered protocol, with one transform of
// every offered type, each of them offered (RFC 7296 section 3.3.6). A number
// other than that of the offered proposal is tolerated as in strongSwan, which
// goes by the transforms; only 0 is none. The proposal that it returns carries the
// responder's SPI.
func CheckChosen(offered []message.Proposal, sa *message.SA) (Suite, message.Proposal, error) {
	fail := func(err error) (Suite, message.Proposal, error) {
		return Suite{}, message.Proposal{}, fmt.Errorf("check chosen proposal: %w: %w", err, ErrNoProposal)
	}
	if sa == nil || len(sa.Proposals) != 1 {
		n := 0
		if sa != nil {
			n = len(sa.Proposals)
		}
		return fail(fmt.Errorf("%d proposals instead of one", n))
	}
	c := sa.Proposals[0]
	if c.Number == 0 {
		return fail(errors.New("number 0 was not offered"))
	}
	problem := fmt.Errorf("number %d was not offered", c.Number)
	if i := int(c.Number) - 1; i < len(offered) {
		problem = checkAgainst(offered[i], c)
	}
	for i := 0; problem != nil && i < len(offered); i++ {
		if checkAgainst(offered[i], c) == nil {
			problem = nil
		}
	}
	if problem != nil {
		return fail(problem)
	}
	s, err := SuiteOf(c)
	if err != nil {
		return fail(err)
	}
	return s, c.Clone(), nil
}

// checkAgainst checks that c chooses one transform of every type of o, and no
// other.
func checkAgainst(o, c message.Proposal) error {
	if c.Protocol != o.Protocol {
		return fmt.Errorf("protocol %s was not offered", c.Protocol)
	}
	seen := map[message.TransformType]bool{}
	for _, t := range c.Transforms {
		if seen[t.Type] {
			return fmt.Errorf("two transforms of type %s", t.Type)
		}
		seen[t.Type] = true
		ok := optional(t.Type) && t.ID == 0 && t.KeyBits == 0 && len(t.Attributes) == 0 && len(o.OfType(t.Type)) == 0
		for _, u := range o.OfType(t.Type) {
			ok = ok || u.Equal(t)
		}
		if !ok {
			return fmt.Errorf("%s was not offered", transformName(t))
		}
	}
	for _, t := range o.Transforms {
		if seen[t.Type] {
			continue
		}
		none := t
		none.ID, none.KeyBits = 0, 0
		ok := false
		for _, u := range o.OfType(t.Type) {
			ok = ok || optional(t.Type) && u.Equal(none)
		}
		if !ok {
			return fmt.Errorf("no transform of type %s", t.Type)
		}
	}
	return nil
}

// Select chooses as a responder: the first of the configured proposals, in
// their order, that an offered one agrees with. The proposal that it returns
// has the initiator's number and SPI; the caller replaces the SPI by its own.
func Select(configured []message.Proposal, sa *message.SA) (Suite, message.Proposal, error) {
	if sa != nil {
		for _, own := range configured {
			for _, peer := range sa.Proposals {
				c, ok := agree(own, peer)
				if !ok {
					continue
				}
				if s, err := SuiteOf(c); err == nil {
					return s, c, nil
				}
			}
		}
		return Suite{}, message.Proposal{}, fmt.Errorf("select proposal: received proposals unacceptable: %s; configured: %s: %w",
			ProposalString(sa.Proposals...), ProposalString(configured...), ErrNoProposal)
	}
	return Suite{}, message.Proposal{}, fmt.Errorf("select proposal: no SA payload: %w", ErrNoProposal)
}

func agree(own, peer message.Proposal) (message.Proposal, bool) {
	if own.Protocol != peer.Protocol {
		return message.Proposal{}, false
	}
	c := message.Proposal{Number: peer.Number, Protocol: peer.Protocol, SPI: append([]byte(nil), peer.SPI...)}
	done := map[message.TransformType]bool{}
	kes := map[uint16]bool{}
	for _, p := range []message.Proposal{own, peer} {
		for _, t := range p.Transforms {
			if done[t.Type] {
				continue
			}
			done[t.Type] = true
			v, explicit, ok := common(t.Type, own.OfType(t.Type), peer.OfType(t.Type), kes)
			if !ok {
				return message.Proposal{}, false
			}
			if t.Type == message.KEXCH || isADDKE(t.Type) {
				kes[v.ID] = true
			}
			if explicit {
				c.Transforms = append(c.Transforms, v)
			}
		}
	}
	return c, true
}

// common returns the transform of type t that both lists have, own order
// first; explicit says that the peer listed it. Key exchange methods that were
// chosen already are passed over: none but NONE may be chosen twice (RFC 9370
// section 2.2.1).
func common(t message.TransformType, own, peer []message.Transform, chosen map[uint16]bool) (v message.Transform, explicit, ok bool) {
	none := []message.Transform{{Type: t}}
	explicit = len(peer) > 0
	if optional(t) && len(own) == 0 {
		own = none
	}
	if optional(t) && len(peer) == 0 {
		peer = none
	}
	exchange := t == message.KEXCH || isADDKE(t)
	for _, o := range own {
		if exchange && o.ID != uint16(message.KENone) && chosen[o.ID] {
			continue
		}
		for _, p := range peer {
			if o.Equal(p) {
				return o, explicit, true
			}
		}
	}
	return message.Transform{}, false, false
}

// OnlyKE returns those of ps that allow the key exchange method m, with no other
// method of the first key exchange; KENone leaves those that need none.
func OnlyKE(ps []message.Proposal, m message.KEMethod) (out []message.Proposal) {
	for _, p := range ps {
		q := p
		q.Transforms = nil
		found := m == message.KENone && len(p.OfType(message.KEXCH)) == 0
		for _, t := range p.Transforms {
			if t.Type == message.KEXCH && t.ID != uint16(m) {
				continue
			}
			found = found || t.Type == message.KEXCH
			q.Transforms = append(q.Transforms, t)
		}
		if found {
			out = append(out, q)
		}
	}
	return out
}

// SelectKE is Select for an exchange whose initiator sent a key exchange value of
// method m, KENone where it sent none: a proposal that m fits goes before those
// that would cost an INVALID_KE_PAYLOAD.
func SelectKE(configured []message.Proposal, sa *message.SA, m message.KEMethod) (Suite, message.Proposal, error) {
	if s, c, err := Select(OnlyKE(configured, m), sa); err == nil {
		return s, c, nil
	}
	return Select(configured, sa)
}
