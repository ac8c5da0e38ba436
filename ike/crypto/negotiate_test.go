package crypto

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func TestSelectAndCheckChosen(t *testing.T) {
	offer := DefaultIKE()
	sa := SAPayload(offer, nil)
	require.EqualValues(t, 2, sa.Proposals[1].Number)
	// Over the wire, as a responder sees it.
	body, err := sa.AppendBody(nil)
	require.NoError(t, err)
	first, b, err := message.AppendPayloads(nil, []message.Payload{sa})
	require.NoError(t, err)
	require.Equal(t, body, b[4:])
	ps, err := message.ParsePayloads(first, b)
	require.NoError(t, err)
	got := ps[0].(*message.SA)

	s, chosen, err := Select(mustList(t, message.ProtocolIKE, "aes128-sha256-modp2048"), got)
	require.NoError(t, err)
	require.Equal(t, "IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048", s.String())
	require.EqualValues(t, 2, chosen.Number)
	s2, c2, err := CheckChosen(offer, &message.SA{Proposals: []message.Proposal{chosen}})
	require.NoError(t, err)
	require.Equal(t, s, s2)
	require.Equal(t, chosen.Number, c2.Number)

	s, _, err = Select(mustList(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519"), got)
	require.NoError(t, err)
	require.Equal(t, "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519", s.String())

	_, _, err = Select(mustList(t, message.ProtocolIKE, "aes128-sha1-modp1024"), got)
	require.ErrorIs(t, err, ErrNoProposal)
	_, _, err = Select(offer, nil)
	require.ErrorIs(t, err, ErrNoProposal)
}

func TestCheckChosenRefuses(t *testing.T) {
	offer := mustList(t, message.ProtocolIKE, "aes256-aes128-sha256-modp2048", "aes128gcm16-prfsha256-x25519")
	good := mustList(t, message.ProtocolIKE, "aes128-sha256-modp2048")[0]
	good.Number = 1
	check := func(ps ...message.Proposal) error {
		_, _, err := CheckChosen(offer, &message.SA{Proposals: ps})
		return err
	}
	require.NoError(t, check(good))
	require.ErrorIs(t, check(), ErrNoProposal)
	require.ErrorIs(t, check(good, good), ErrNoProposal)
	_, _, err := CheckChosen(offer, nil)
	require.ErrorIs(t, err, ErrNoProposal)
	for name, change := range map[string]func(p *message.Proposal){
		"number 0":       func(p *message.Proposal) { p.Number = 0 },
		"protocol":       func(p *message.Proposal) { p.Protocol = message.ProtocolESP },
		"key length":     func(p *message.Proposal) { p.Transforms[0].KeyBits = 192 },
		"no key length":  func(p *message.Proposal) { p.Transforms[0].KeyBits = 0 },
		"two of a type":  func(p *message.Proposal) { p.Transforms = append(p.Transforms, p.Transforms[0]) },
		"missing PRF":    func(p *message.Proposal) { p.Transforms = append(p.Transforms[:2:2], p.Transforms[3]) },
		"missing KE":     func(p *message.Proposal) { p.Transforms = p.Transforms[:3] },
		"missing INTEG":  func(p *message.Proposal) { p.Transforms = append(p.Transforms[:1:1], p.Transforms[2:]...) },
		"NONE integrity": func(p *message.Proposal) { p.Transforms[1].ID = 0 },
		"extra type":     func(p *message.Proposal) { p.Transforms = append(p.Transforms, esn(message.ESNYes)) },
		"attribute":      func(p *message.Proposal) { p.Transforms[0].Attributes = []message.Attribute{{Type: 99}} },
		"weaker KE":      func(p *message.Proposal) { p.Transforms[3] = kex(message.KEMODP1024) },
		"unoffered AEAD": func(p *message.Proposal) { p.Transforms[0] = encr(message.EncrAESGCM16, 128) },
	} {
		p := good.Clone()
		change(&p)
		for _, p.Number = range []uint8{p.Number, 2 * p.Number, 7 * p.Number} {
			require.ErrorIs(t, check(p), ErrNoProposal, name)
		}
	}
}

// As strongSwan, which goes by the transforms: the number of another proposal, or
// of none, does not count, but 0 does.
func TestCheckChosenToleratesNumbers(t *testing.T) {
	offer := mustList(t, message.ProtocolIKE, "aes128-sha256-modp2048", "aes128gcm16-prfsha256-x25519")
	for i, o := range offer {
		want, err := SuiteOf(o)
		require.NoError(t, err)
		for _, number := range []uint8{1, 2, 3, 255} {
			p := o.Clone()
			p.Number = number
			s, chosen, err := CheckChosen(offer, &message.SA{Proposals: []message.Proposal{p}})
			require.NoError(t, err, "proposal %d as %d", i+1, number)
			require.Equal(t, want, s)
			require.Equal(t, number, chosen.Number)
		}
	}
}

func TestAdditionalKEs(t *testing.T) {
	offer := mustList(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519-ecp256-ke1_mlkem768-ke1_x25519-ke3_mlkem768-ke3_none")
	require.True(t, OffersAdditionalKE(offer))
	require.False(t, OffersAdditionalKE(DefaultIKE()))
	require.False(t, OffersAdditionalKE(mustList(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519-ke1_none")))
	sa := SAPayload(offer, nil)
	for own, want := range map[string]string{
		"aes128gcm16-prfsha256-x25519-ke1_mlkem768":              "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/KE1_ML_KEM_768",
		"aes128gcm16-prfsha256-ecp256-ke1_x25519-ke3_mlkem768":   "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_256/KE1_CURVE_25519/KE3_ML_KEM_768",
		"aes128gcm16-prfsha256-x25519-ke1_x25519-ke1_mlkem768":   "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/KE1_ML_KEM_768",
		"aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke3_mlkem768": "", // none is chosen twice, and our side insists on KE3
		"aes128gcm16-prfsha256-x25519":                           "", // KE1 may not be left out
		"aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256":   "", // KE2 was not offered
	} {
		s, chosen, err := Select(mustList(t, message.ProtocolIKE, own), sa)
		if want == "" {
			require.ErrorIs(t, err, ErrNoProposal, own)
			continue
		}
		require.NoError(t, err, own)
		require.Equal(t, want, s.String())
		got, _, err := CheckChosen(offer, &message.SA{Proposals: []message.Proposal{chosen}})
		require.NoError(t, err)
		require.Equal(t, s, got)
		require.Equal(t, want, ProposalString(s.Proposal()))
	}
	twice := mustList(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke3_mlkem768")[0]
	twice.Number = 1
	_, _, err := CheckChosen(offer, &message.SA{Proposals: []message.Proposal{twice}})
	require.ErrorContains(t, err, "twice")
	s, err := SuiteOf(mustList(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519-ke7_mlkem768-ke2_mlkem1024")[0])
	require.NoError(t, err)
	require.Equal(t, []message.KEMethod{message.KEMLKEM1024, message.KEMLKEM768}, s.AdditionalKEs(), "in ascending order")
}

// Private-use transforms are never accepted: none is implemented, and a peer
// may not choose what was not offered.
func TestPrivateAlgorithmsAreRefused(t *testing.T) {
	const private = 1024
	offered, err := ParseProposals(message.ProtocolIKE, []string{"aes128-sha256-x25519"})
	require.NoError(t, err)
	for i := range offered[0].Transforms {
		sa := SAPayload(offered, nil)
		sa.Proposals[0].Transforms[i].ID = private
		_, _, err := CheckChosen(offered, sa)
		require.ErrorIs(t, err, ErrNoProposal)
		_, _, err = Select(offered, sa)
		require.ErrorIs(t, err, ErrNoProposal)
	}
}
