package gateway

import "net/netip"

// pool leases virtual addresses out of a prefix. The network address, the
// first host (the gateway's own) and an IPv4 broadcast address stay free.
type pool struct {
	prefix netip.Prefix
	leased map[netip.Addr]bool
}

// maxLeases bounds the search in large (IPv6) pools.
const maxLeases = 4096

func newPool(p netip.Prefix) *pool {
	return &pool{prefix: p.Masked(), leased: make(map[netip.Addr]bool)}
}

// lease returns wanted where it is free and inside the pool, else the first
// free address; false where none is left.
func (p *pool) lease(wanted netip.Addr) (netip.Addr, bool) {
	network := p.prefix.Addr()
	own := network.Next()
	free := func(a netip.Addr) bool {
		if !p.prefix.Contains(a) || a == network || a == own || p.leased[a] {
			return false
		}
		return !a.Is4() || p.prefix.Bits() > 30 || p.prefix.Contains(a.Next())
	}
	if wanted.IsValid() && wanted.Is4() == network.Is4() && free(wanted) {
		p.leased[wanted] = true
		return wanted, true
	}
	a := own.Next()
	for i := 0; i < maxLeases && p.prefix.Contains(a); i, a = i+1, a.Next() {
		if free(a) {
			p.leased[a] = true
			return a, true
		}
	}
	return netip.Addr{}, false
}

func (p *pool) release(a netip.Addr) { delete(p.leased, a) }
