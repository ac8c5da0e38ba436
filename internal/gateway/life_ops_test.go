package gateway

import (
	"fmt"
	"net/netip"
	"time"
)

// lifeCounts is what happened.
type lifeCounts struct {
	datagrams, ikeRekeyed, childRekeyed, childMade, moved, reauth, deleted, probes, started int
	ikeDeleted, gatewayMakes, restarted, retried, further, followUps                        int
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
	c.ikeDeleted += o.ikeDeleted
	c.gatewayMakes += o.gatewayMakes
	c.restarted += o.restarted
	c.retried += o.retried
	c.further += o.further
	c.followUps += o.followUps
	c.without = max(c.without, o.without)
}

func (c lifeCounts) String() string {
	return fmt.Sprintf("%d datagrams, %d IKE_SA and %d CHILD_SA rekeyings (%d IKE_FOLLOWUP_KE), %d CHILD_SAs made, %d asked for by the gateway (%d twice), "+
		"%d CHILD_SAs and %d IKE_SAs deleted by the gateway, %d moves, %d restarts of the client, %d reauthentications, %d IKE_SAs begun (%d came to nothing), %d probes, "+
		"longest gap %v (outages of up to 40 s among it)",
		c.datagrams, c.ikeRekeyed, c.childRekeyed, c.followUps, c.childMade, c.gatewayMakes, c.further, c.deleted, c.ikeDeleted, c.moved, c.restarted, c.reauth, c.started, c.retried,
		c.probes, c.without.Round(time.Millisecond))
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
	{name: "client rekeys the IKE_SA", do: func(l *life) { l.carry(l.current, l.current.m.Rekey(l.now)) }},
	{name: "client rekeys the IKE_SA", do: func(l *life) { l.carry(l.current, l.current.m.Rekey(l.now)) }},
	{name: "gateway rekeys the IKE_SA", do: func(l *life) { l.g.RekeyIKE(l.now) }},
	{name: "gateway rekeys the IKE_SA", do: func(l *life) { l.g.RekeyIKE(l.now) }},
	{name: "client rekeys the CHILD_SAs", do: func(l *life) { l.carry(l.current, l.current.m.RekeyChildren(l.now)) }},
	{name: "client rekeys the CHILD_SAs", do: func(l *life) { l.carry(l.current, l.current.m.RekeyChildren(l.now)) }},
	{name: "gateway rekeys the CHILD_SAs", do: func(l *life) { l.g.RekeyChildren(l.now) }},
	{name: "gateway rekeys the CHILD_SAs", do: func(l *life) { l.g.RekeyChildren(l.now) }},
	{name: "gateway deletes the CHILD_SAs", do: func(l *life) {
		l.counts.deleted += l.missing(l.g.DeleteChildren(l.now))
	}},
	{name: "gateway deletes the IKE_SA", do: func(l *life) {
		l.counts.ikeDeleted += l.missing(l.g.DeleteIKE(l.now))
	}},
	{name: "gateway asks for CHILD_SAs where it has none", do: func(l *life) {
		l.counts.gatewayMakes += l.g.MakeChildren(l.now, false)
	}},
	{name: "gateway deletes the CHILD_SAs and asks for others", do: func(l *life) {
		l.counts.deleted += l.missing(l.g.DeleteChildren(l.now))
		l.counts.gatewayMakes += l.g.MakeChildren(l.now, false)
	}},
	{name: "gateway asks for a further CHILD_SA each", do: func(l *life) {
		n := l.g.MakeChildren(l.now, true)
		l.counts.gatewayMakes += n
		l.counts.further += n
	}},
	{name: "gateway limits the authentication", do: func(l *life) {
		l.g.LimitAuth(l.now, time.Duration(1+l.rng.IntN(1800))*time.Second)
		l.limited = true
	}},
	{name: "the client is killed and started again", do: func(l *life) { l.fail(l.restart()) }},
	{name: "the client moves", do: func(l *life) {
		l.local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + l.rng.IntN(200))}), 4500)
		for _, s := range l.sessions() {
			l.carry(s, s.m.Roam(l.now, l.local, netip.AddrPort{}))
		}
	}},
	{name: "nothing arrives for a while", do: func(l *life) {
		l.wire.outage = l.now.Add(time.Duration(l.rng.Int64N(int64(40 * time.Second))))
	}},
}

// missing notes that CHILD_SAs may be missing from now on, where n were ended.
func (l *life) missing(n int) int {
	if n > 0 && l.broken.IsZero() {
		l.broken = l.now
	}
	return n
}
