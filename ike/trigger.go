package ike

import "slices"

// Trigger is the packet that asks for a CHILD_SA, as selectors of one address,
// protocol and port each. They go before the configured ones, so that a gateway which
// narrows keeps what the packet needs: "the initiator SHOULD include as the first
// Traffic Selector in each of TSi and TSr a very specific Traffic Selector including
// the addresses in the packet triggering the request" (RFC 7296 section 2.9).
type Trigger struct {
	Local, Remote TrafficSelector
}

// offer returns what is asked for: the configured selectors, after those of the packet
// where it fits them. While a virtual IP is asked for the packet has another source
// than its successors.
func (t *Trigger) offer(local, remote []TrafficSelector, virtual bool) (tsi, tsr []TrafficSelector) {
	if t == nil || !containsSelector(local, t.Local) || !containsSelector(remote, t.Remote) {
		return local, remote
	}
	if !virtual {
		local = first(t.Local, local)
	}
	return local, first(t.Remote, remote)
}

// first puts t before list, unless it is all of it.
func first(t TrafficSelector, list []TrafficSelector) []TrafficSelector {
	if len(list) == 1 && t.Contains(list[0]) {
		return list
	}
	return slices.Concat([]TrafficSelector{t}, list)
}
