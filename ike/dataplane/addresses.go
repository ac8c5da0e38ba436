package dataplane

import (
	"net/netip"
	"slices"

	"github.com/gotnc/gotnc/ike"
)

// VirtualIPs returns the addresses that the gateway assigned.
func VirtualIPs(child *ike.ChildSA) []netip.Addr {
	var out []netip.Addr
	for _, a := range child.Internal.Addresses {
		out = append(out, a.Addr())
	}
	return out
}

// Subnets returns the subnets of all selectors, each once.
func Subnets(ts []ike.TrafficSelector) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range ts {
		for _, p := range s.Prefixes() {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
