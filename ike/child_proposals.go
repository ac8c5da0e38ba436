package ike

import (
	"slices"
	"strings"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

const defaultProposals = "default"

// parse reads the configured ESP proposals; none = the default ones.
func (cfg *childConfig) parse(list []string) error {
	if len(list) == 0 {
		list = []string{defaultProposals}
	}
	ps, err := crypto.ParseProposals(message.ProtocolESP, list)
	if err != nil {
		return err
	}
	for _, s := range list {
		// Each was parsed already: an error is not possible.
		n, _ := crypto.ParseProposal(message.ProtocolESP, s)
		isDefault := strings.TrimSpace(s) == defaultProposals
		cfg.optional = append(cfg.optional, slices.Repeat([]bool{isDefault}, len(n))...)
	}
	cfg.proposals = ps
	return nil
}

// forCreate returns the proposals of a CREATE_CHILD_SA exchange on sa, which unlike
// IKE_AUTH may carry a key exchange: the default ones offer, and accept, one beside
// none, first that of the IKE_SA, which both sides have.
func (cfg *childConfig) forCreate(sa *ikeSA) (ps []message.Proposal) {
	for i, p := range cfg.proposals {
		if cfg.optional[i] {
			ps = append(ps, crypto.WithOptionalKE(p, sa.suite.KE)...)
		} else {
			ps = append(ps, p)
		}
	}
	return ps[:min(len(ps), message.MaxProposals)]
}

// firstKE returns the method that the KE payload of our CREATE_CHILD_SA is of: the
// one that the gateway took last, where it is offered, else the first.
func (cfg *childConfig) firstKE(offered []message.Proposal) message.KEMethod {
	if cfg.ke != message.KENone && crypto.OffersKE(offered, cfg.ke) {
		return cfg.ke
	}
	return crypto.PreferredKE(offered)
}
