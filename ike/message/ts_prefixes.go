package message

import "net/netip"

// ContainsAddr reports whether the addresses of s include a.
func (s TrafficSelector) ContainsAddr(a netip.Addr) bool {
	return a.BitLen() == s.Start.BitLen() && !a.Less(s.Start) && !s.End.Less(a)
}

// Prefixes returns the fewest subnets that are exactly the addresses of s, at
// most 2·128; nil where s is no range of addresses.
func (s TrafficSelector) Prefixes() []netip.Prefix {
	var ps []netip.Prefix
	from := s.Start
	if !from.IsValid() || from.BitLen() != s.End.BitLen() {
		return nil
	}
	for !s.End.Less(from) {
		bits := from.BitLen()
		for bits > 0 {
			p := netip.PrefixFrom(from, bits-1)
			if p.Masked().Addr() != from || s.End.Less(lastAddr(from, bits-1)) {
				break
			}
			bits--
		}
		ps = append(ps, netip.PrefixFrom(from, bits))
		if from = lastAddr(from, bits).Next(); !from.IsValid() {
			break
		}
	}
	return ps
}

// lastAddr returns the highest address of a's subnet of that many bits.
func lastAddr(a netip.Addr, bits int) netip.Addr {
	b := a.AsSlice()
	for bit := bits; bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
