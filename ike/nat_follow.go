package ike

import (
	"net/netip"

	"github.com/gotnc/gotnc/internal/base/log"
)

// followGateway takes the address and port that a message of the gateway came from:
// its NAT may have given it another mapping. The message is authentic, and no
// repetition. "A host behind a NAT SHOULD NOT do this type of dynamic address update
// … because it opens a possible DoS attack" (RFC 7296 section 2.23); with MOBIKE the
// initiator alone decides on addresses (RFC 4555 section 3.8).
func (b *mobility) followGateway(from netip.AddrPort) {
	p := &b.path
	if b.enabled || b.state < stateEstablished || b.state == stateDone || !p.followsNAT(from) || from == p.remote {
		return
	}
	log.Infof(b.ike, "the gateway's NAT mapping changed from %s to %s", endpoint(p.remote), endpoint(from))
	p.remote = from
	b.emit(Moved{Path: p.public(), Encap: p.encap()})
}

// followsNAT reports whether the gateway, and not this host, is behind a NAT, so that
// its address may change to from.
func (p *path) followsNAT(from netip.AddrPort) bool {
	return p.natt && p.marker && p.natRemote && !p.translated && from.IsValid() && from.Addr().Is4() == p.remote.Addr().Is4()
}
