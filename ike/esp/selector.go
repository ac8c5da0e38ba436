package esp

import (
	"net/netip"
	"slices"
)

// Selector is a traffic selector of a CHILD_SA (RFC 7296 §3.13.1): addresses
// and ports are inclusive. Protocol 0 is any; ports 0 to 65535 are any, and
// 65535 to 0 is OPAQUE: packets whose ports cannot be seen.
type Selector struct {
	From, To         netip.Addr
	Protocol         uint8
	FromPort, ToPort uint16
}

// SelectorOf covers a subnet, all protocols and ports.
func SelectorOf(p netip.Prefix) Selector {
	return Selector{From: p.Masked().Addr(), To: lastOf(p), ToPort: 65535}
}

func (s Selector) matches(a netip.Addr, f *flow, port uint16) bool {
	if a.BitLen() != s.From.BitLen() || a.Less(s.From) || s.To.Less(a) {
		return false
	}
	if s.Protocol != 0 && s.Protocol != f.protocol {
		return false
	}
	switch {
	case s.FromPort == 0 && s.ToPort == 65535:
		return true
	case s.FromPort == 65535 && s.ToPort == 0:
		return !f.portsKnown
	case !f.portsKnown:
		return false
	}
	return port >= s.FromPort && port <= s.ToPort
}

func anyMatches(ss []Selector, a netip.Addr, f *flow, port uint16) bool {
	for i := range ss {
		if ss[i].matches(a, f, port) {
			return true
		}
	}
	return false
}

// Contains reports whether the selector's addresses include a.
func (s Selector) Contains(a netip.Addr) bool {
	return a.BitLen() == s.From.BitLen() && !a.Less(s.From) && !s.To.Less(a)
}

// lastOf returns the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Prefixes returns the fewest subnets that are exactly the selector's range of
// addresses, at most 2·128.
func (s Selector) Prefixes() []netip.Prefix {
	var ps []netip.Prefix
	from := s.From
	if !from.IsValid() || from.BitLen() != s.To.BitLen() {
		return nil
	}
	for !s.To.Less(from) {
		bits := from.BitLen()
		for bits > 0 {
			p := netip.PrefixFrom(from, bits-1)
			if p.Masked().Addr() != from || s.To.Less(lastOf(p)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(from, bits)
		ps = append(ps, p)
		last := lastOf(p)
		if from = last.Next(); !from.IsValid() {
			break
		}
	}
	return ps
}

// prefixesOf returns the subnets of all selectors, each once.
func prefixesOf(ss []Selector) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		for _, p := range s.Prefixes() {
			if !slices.Contains(ps, p) {
				ps = append(ps, p)
			}
		}
	}
	return ps
}
