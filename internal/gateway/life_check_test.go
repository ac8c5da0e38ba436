package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// gatewaySide is the gateway's end of the IKE_SA that carries packets; nil = there is
// none, or it is not there yet.
func (l *life) gatewaySide() *client {
	for _, c := range slices.Backward(l.g.clients) {
		if !c.freed && c.report.State == Established && c.freeAt.IsZero() && !l.givenUp[c.spii] {
			return c
		}
	}
	return nil
}

// idle reports whether nothing is under way.
func (l *life) idle() bool {
	if len(l.wire.queue) > 0 || !l.open.idle(l.now) || l.next != nil || len(l.ending) > 0 {
		return false
	}
	for _, c := range l.g.clients {
		if c.freed || !c.freeAt.IsZero() {
			continue
		}
		for _, s := range append(slices.Clone(c.old), c.ikeSA) {
			if s.own != nil || len(s.queue) > 0 || s.follow != nil {
				return false
			}
		}
	}
	return true
}

// check holds both ends against each other.
func (l *life) check() {
	if l.failure != nil || l.current.m.Done() {
		return
	}
	c := l.gatewaySide()
	if c == nil || !l.current.up || l.lost(l.current) {
		return
	}
	if !l.idle() {
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
// while nothing is under way, beside those that the gateway asked for; settled says
// that the rest of what was rekeyed has had time to go.
func (l *life) sound(c *client, settled bool) error {
	for _, name := range lifeNames {
		var ours []*clientChild
		theirs, own := map[string]bool{}, 0
		for _, x := range l.plane.list {
			if x.name == name {
				ours = append(ours, x)
			}
		}
		for _, s := range c.children {
			if holds(s.tsr, netip.MustParseAddr(lifeTargets[name])) {
				theirs[string(s.ownSPI())] = true
				if !s.further {
					own++
				}
			}
		}
		switch {
		case len(theirs) == 0 || own > 1:
			return fmt.Errorf("%s: the gateway has %d CHILD_SAs, %d of which it did not ask for", name, len(theirs), own)
		case settled && len(ours) != len(theirs):
			return fmt.Errorf("%s: the client has %d CHILD_SAs, the gateway %d", name, len(ours), len(theirs))
		case !settled:
			continue
		}
		for _, x := range ours {
			if !theirs[string(x.esp.peerSPI)] {
				return fmt.Errorf("%s: the client sends on %x, which the gateway does not have", name, x.esp.peerSPI)
			}
			if err := l.probeOn(x); err != nil {
				return err
			}
		}
	}
	if !settled || l.now.Sub(l.quiet) <= lingerOld {
		return nil
	}
	if len(c.old) > 0 {
		return fmt.Errorf("the gateway has %d old IKE_SAs", len(c.old))
	}
	n := 0
	for _, c := range l.g.clients {
		if !c.freed && !l.givenUp[c.spii] {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("the gateway has %d IKE_SAs of the client", n)
	}
	return nil
}
