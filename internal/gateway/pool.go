package gateway

import "net/netip"

// pool leases virtual addresses out of a prefix. The network address, the
// first host (the gateway's own) and an IPv4 broadcast address stay free.
type pool struct {
	prefix netip.Prefix
	leased map[netip.Addr]*lease
}

// lease is an address in use. A client that replaces its IKE_SA (make before
// break) has it twice, as with strongSwan.
type lease struct {
	owner string // identity of the client
	users int    // IKE_SAs
}

// maxLeases bounds the search in large (IPv6) pools.
const maxLeases = 4096

func newPool(p netip.Prefix) *pool {
	return &pool{prefix: p.Masked(), leased: make(map[netip.Addr]*lease)}
}

// lease returns wanted where it is inside the pool and free, or leased to the same
// owner, else the first free address; false where none is left.
func (p *pool) lease(wanted netip.Addr, owner string) (netip.Addr, bool) {
	if l := p.leased[wanted]; l != nil && l.owner == owner {
		l.users++
		return wanted, true
	}
	network := p.prefix.Addr()
	own := network.Next()
	free := func(a netip.Addr) bool {
		if !p.prefix.Contains(a) || a == network || a == own || p.leased[a] != nil {
			return false
		}
		return !a.Is4() || p.prefix.Bits() > 30 || p.prefix.Contains(a.Next())
	}
	if wanted.IsValid() && wanted.Is4() == network.Is4() && free(wanted) {
		p.leased[wanted] = &lease{owner, 1}
		return wanted, true
	}
	a := own.Next()
	for i := 0; i < maxLeases && p.prefix.Contains(a); i, a = i+1, a.Next() {
		if free(a) {
			p.leased[a] = &lease{owner, 1}
			return a, true
		}
	}
	return netip.Addr{}, false
}

// release gives an address back, once for each time that it was leased.
func (p *pool) release(a netip.Addr) {
	if l := p.leased[a]; l != nil {
		if l.users--; l.users == 0 {
			delete(p.leased, a)
		}
	}
}
