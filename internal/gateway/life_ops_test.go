package gateway

import (
	"fmt"
	"net/netip"
	"time"
)

// lifeCounts is what happened.
type lifeCounts struct {
	datagrams, ikeRekeyed, childRekeyed, childMade, moved, reauth, deleted, probes, started int
	without                                                                                 time.Duration // a configured CHILD_SA was missing
}

func (c *lifeCounts) add(o lifeCounts) {
	c.datagrams += o.datagrams
	c.ikeRekeyed += o.ikeRekeyed
	c.childRekeyed += o.childRekeyed
	c.childMade += o.childMade
	c.moved += o.moved
	c.reauth += o.reauth
	c.deleted += o.deleted
	c.probes += o.probes
	c.started += o.started
	c.without = max(c.without, o.without)
}

func (c lifeCounts) String() string {
	return fmt.Sprintf("%d datagrams, %d IKE_SA and %d CHILD_SA rekeyings, %d CHILD_SAs made, %d deleted by the gateway, %d moves, %d new IKE_SAs asked for, %d IKE_SAs begun, %d probes, longest gap after a deletion %v (outages of up to 40 s among it)",
		c.datagrams, c.ikeRekeyed, c.childRekeyed, c.childMade, c.deleted, c.moved, c.reauth, c.started, c.probes, c.without.Round(time.Millisecond))
}

// op is something that happens at a time.
type op struct {
	at   time.Time
	name string
	do   func(l *life)
}

// plan draws what happens now, and when something is drawn again.
func (l *life) plan() {
	l.nextOp = l.now.Add(time.Duration(l.rng.Int64N(int64(20 * time.Minute))))
	soon := func() time.Time { return l.now.Add(time.Duration(l.rng.Int64N(int64(2 * l.wire.delay)))) }
	for range 1 + l.rng.IntN(3) {
		o := lifeOps[l.rng.IntN(len(lifeOps))]
		l.ops = append(l.ops, op{at: soon(), name: o.name, do: o.do})
	}
}

// lifeOps are what may happen; what stands twice happens more often.
var lifeOps = []op{
	{name: "client rekeys the IKE_SA", do: func(l *life) { l.carry(l.m.Rekey(l.now)) }},
	{name: "client rekeys the IKE_SA", do: func(l *life) { l.carry(l.m.Rekey(l.now)) }},
	{name: "gateway rekeys the IKE_SA", do: func(l *life) { l.g.RekeyIKE(l.now) }},
	{name: "gateway rekeys the IKE_SA", do: func(l *life) { l.g.RekeyIKE(l.now) }},
	{name: "client rekeys the CHILD_SAs", do: func(l *life) { l.carry(l.m.RekeyChildren(l.now)) }},
	{name: "client rekeys the CHILD_SAs", do: func(l *life) { l.carry(l.m.RekeyChildren(l.now)) }},
	{name: "gateway rekeys the CHILD_SAs", do: func(l *life) { l.g.RekeyChildren(l.now) }},
	{name: "gateway rekeys the CHILD_SAs", do: func(l *life) { l.g.RekeyChildren(l.now) }},
	{name: "gateway deletes the CHILD_SAs", do: func(l *life) {
		if n := l.g.DeleteChildren(l.now); n > 0 && l.broken.IsZero() {
			l.counts.deleted += n
			l.broken = l.now
		}
	}},
	{name: "the client moves", do: func(l *life) {
		l.local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + l.rng.IntN(200))}), 4500)
		l.carry(l.m.Roam(l.now, l.local, netip.AddrPort{}))
	}},
	{name: "nothing arrives for a while", do: func(l *life) {
		l.wire.outage = l.now.Add(time.Duration(l.rng.Int64N(int64(40 * time.Second))))
	}},
}
