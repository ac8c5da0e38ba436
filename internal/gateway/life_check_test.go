package gateway

import (
	"fmt"
	"net/netip"
	"time"
)

// check holds both ends against each other.
func (l *life) check() {
	if l.failure != nil || l.m.Done() || len(l.g.clients) == 0 {
		return
	}
	c := l.g.clients[len(l.g.clients)-1]
	if c.report.State != Established {
		return
	}
	idle := len(l.wire.queue) == 0 && l.open.idle(l.now) && c.own == nil && len(c.queue) == 0
	for _, s := range c.old {
		idle = idle && s.own == nil
	}
	if !idle {
		l.quiet = time.Time{}
		l.traffic(false)
		return
	}
	if l.quiet.IsZero() {
		l.quiet = l.now
	}
	l.traffic(true)
	if l.failure == nil && l.broken.IsZero() {
		l.fail(l.sound(c, l.now.Sub(l.quiet) >= 10*time.Second))
	}
}

// maxGap is how long a CHILD_SA that was deleted may be missing: an answer of
// TEMPORARY_FAILURE, and repetitions on a bad network.
const maxGap = 3 * time.Minute

// traffic sends a probe through every tunnel. Only a deletion explains that one does
// not come back.
func (l *life) traffic(idle bool) {
	works := true
	for _, name := range lifeNames {
		l.counts.probes++
		if err := l.probe(name); err != nil {
			works = false
			if l.broken.IsZero() || !l.gap.IsZero() && l.now.Sub(l.gap) > maxGap {
				l.fail(err)
				return
			}
		}
	}
	switch {
	case !works && l.gap.IsZero():
		l.gap = l.now
	case works && !l.gap.IsZero():
		l.counts.without = max(l.counts.without, l.now.Sub(l.gap))
		l.gap = time.Time{}
	}
	if works && idle {
		l.broken = time.Time{}
	}
}

// sound reports why there is not exactly one CHILD_SA of each kind on both sides
// while nothing is under way; settled says that the rest of what was rekeyed has had
// time to go.
func (l *life) sound(c *client, settled bool) error {
	for _, name := range lifeNames {
		ours, theirs := 0, 0
		var last *clientChild
		for _, x := range l.plane.list {
			if x.name == name {
				ours++
				last = x
			}
		}
		var other *childSA
		for _, s := range c.children {
			if holds(s.tsr, netip.MustParseAddr(lifeTargets[name])) {
				theirs++
				other = s
			}
		}
		switch {
		case theirs != 1:
			return fmt.Errorf("%s: the gateway has %d CHILD_SAs", name, theirs)
		case settled && ours != 1:
			return fmt.Errorf("%s: the client has %d CHILD_SAs", name, ours)
		case settled && string(last.esp.peerSPI) != string(other.ownSPI()):
			return fmt.Errorf("%s: the client sends on %x, the gateway has %x", name, last.esp.peerSPI, other.ownSPI())
		}
	}
	if settled && len(c.old) > 0 && l.now.Sub(l.quiet) > lingerOld {
		return fmt.Errorf("the gateway has %d old IKE_SAs", len(c.old))
	}
	return nil
}
