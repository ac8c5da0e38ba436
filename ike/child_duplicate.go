package ike

import (
	"slices"

	"github.com/gotnc/gotnc/internal/base/log"
)

// twin returns a CHILD_SA of the same configuration with those selectors that is
// there to stay; nil = none. Both sides set one up at once, where a CHILD_SA is
// missing. A second one that the peer sets up later stays: it may want two.
func (set *childSet) twin(cfg *childConfig, local, remote []TrafficSelector) *childState {
	for _, c := range set.list {
		if c.cfg == cfg && c.rekeyable() && !c.rekeying && !c.closing && !c.replaced && sameSelectors(c.localTS, local) && sameSelectors(c.remoteTS, remote) {
			return c
		}
	}
	return nil
}

// isCarried reports whether a CHILD_SA carries the traffic of a new one already.
func (cfg *childConfig) isCarried(set *childSet, child *ChildSA) bool {
	return slices.ContainsFunc(set.list, func(c *childState) bool {
		return c.cfg == cfg && !c.dead && sameSelectors(c.localTS, child.LocalTS) && sameSelectors(c.remoteTS, child.RemoteTS)
	})
}

func sameSelectors(a, b []TrafficSelector) bool {
	return slices.EqualFunc(a, b, func(a, b TrafficSelector) bool { return a.String() == b.String() })
}

// isThere reports whether the CHILD_SA that startNew would ask for is there, as the
// peer has set it up meanwhile.
func (cfg *childConfig) isThere(set *childSet) bool {
	local, remote := set.selectors(cfg, set.addresses())
	c := set.twin(cfg, local, remote)
	if c != nil {
		log.Infof(set.ike, "not establishing CHILD_SA %s, there is %s with the same traffic selectors", cfg.Name, c)
		cfg.renewing = false
	}
	return c != nil
}

// prove lets the CHILD_SAs send that the peer set up beside others, and that which
// says so of: the peer has our answer, or there is no other one.
func (set *childSet) prove(which func(*childState) bool) {
	for _, c := range set.list {
		if c.unproven != nil && !c.dead && which(c) {
			c.unproven = nil
			set.emit(ChildActive{SPIIn: c.spiIn})
		}
	}
}

// proveOthers lets a CHILD_SA send that the peer set up beside c, which is closed,
// where no other one sends the same traffic. Where one does, the proof is waited for:
// the peer may not have our answer.
func (c *childState) proveOthers(set *childSet) {
	set.prove(func(further *childState) bool {
		return further.cfg == c.cfg && !slices.ContainsFunc(set.list, func(o *childState) bool {
			return o.sends() && o.cfg == c.cfg && sameSelectors(o.localTS, further.localTS) && sameSelectors(o.remoteTS, further.remoteTS)
		})
	})
}

// addNew registers the CHILD_SA that our exchange made. Where the peer has set one up
// for the same traffic meanwhile, one of the two is closed, the same at both ends
// should the peer do so too: that of the lowest SPI.
func (j *createJob) addNew(set *childSet, sa *ikeSA, child *ChildSA) *childState {
	twin := set.twin(j.cfg, child.LocalTS, child.RemoteTS)
	c := set.add(j.cfg, child)
	set.logUp(c, "")
	loser := twin
	if twin != nil && min(c.spiIn, c.spiOut) < min(twin.spiIn, twin.spiOut) {
		loser = c
	}
	set.emit(ChildEstablished{Child: child, Standby: loser == c})
	if loser != nil {
		log.Infof(set.ike, "both sides set up a CHILD_SA for the same traffic, closing %s", loser)
		loser.replaced = true
		set.delete(sa, loser)
	}
	return c
}
