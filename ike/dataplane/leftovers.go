package dataplane

import "net/netip"

// Leftovers is what a plane makes that outlives a process that is killed: write
// it down before Install or Trap. It is of the network namespace that the process
// is in.
type Leftovers struct {
	Kind Kind   `json:"dataplane,omitempty"` // "" leaves nothing
	Name string `json:"connection,omitempty"`
	// Gateway is the end of the tunnel that the rules leave out.
	Gateway   netip.AddrPort `json:"gateway"`
	Table     int            `json:"table"`
	Priority  int            `json:"priority"`
	Addresses []netip.Addr   `json:"addresses,omitempty"` // virtual IPs on devices of others
	Routes    []netip.Prefix `json:"routes,omitempty"`    // to devices of others
}

// RemoveLeftovers removes what a killed process left, by the backend of its
// kind. Nothing to remove is no error.
func RemoveLeftovers(l Leftovers, backends ...Backend) error {
	for _, b := range backends {
		if b.Kind == l.Kind {
			return b.RemoveLeftovers(l)
		}
	}
	return nil
}
