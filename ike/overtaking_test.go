package ike

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// Each side has a window of its own: what one side starts may overtake the answer of
// the other. These are orders that the simulated life (internal/gateway) has found.

// closeAll lets a side delete every CHILD_SA that it may.
func (p *pair) closeAll(s *side) {
	for _, c := range s.m.children.list {
		if !c.dead && !c.deleting && !c.standby && !c.replaced && !c.rekeying {
			c.closing = true
		}
	}
	p.tick(s)
}

// agreed asserts that both sides have n living CHILD_SAs, the same ones.
func (p *pair) agreed(n int) {
	spis := func(s *side, in bool) (out []uint32) {
		for _, c := range s.m.children.list {
			if c.dead {
				continue
			}
			if in {
				out = append(out, c.spiIn)
			} else {
				out = append(out, c.spiOut)
			}
		}
		return out
	}
	say := func() string { return "a:\n" + p.a.log.String() + "\nb:\n" + p.b.log.String() }
	require.False(p.t, p.a.m.Done() || p.b.m.Done(), say())
	require.Len(p.t, spis(p.a, true), n, say())
	require.ElementsMatch(p.t, spis(p.a, true), spis(p.b, false), say())
	require.ElementsMatch(p.t, spis(p.a, false), spis(p.b, true), say())
	require.Empty(p.t, p.a.m.children.wanted)
}

func restarting(a, _ *Config) { a.Children[0].Restart = true }

// The peer deletes the CHILD_SA that we rekey, and refuses the rekeying: a new one is
// made.
func TestDeleteBesideRefusedRekeying(t *testing.T) {
	p := newPair(t, restarting)
	p.run(p.a, p.a.m.RekeyChildren(p.now))
	p.closeAll(p.b)
	p.deliver(p.b, 0) // CREATE_CHILD_SA: refused
	p.deliver(p.a, 0) // DELETE
	p.pass(time.Minute)
	require.Contains(t, p.a.log.String(), "TEMPORARY_FAILURE")
	p.agreed(1)
}

// The DELETE of a CHILD_SA is here before the answer that tells of it.
func TestDeleteOvertakesTheAnswer(t *testing.T) {
	for _, restart := range []bool{true, false} {
		p := newPair(t, func(a, b *Config) {
			a.Children = append(a.Children, ChildConfig{Name: "more", LocalTS: a.Children[0].LocalTS, RemoteTS: []TrafficSelector{mustTS("10.2.0.0/16")}, Restart: restart})
			b.Children[0].LocalTS = append(b.Children[0].LocalTS, mustTS("10.2.0.0/16"))
		})
		p.tick(p.a)
		p.deliver(p.b, 0)
		p.b.m.children.list[1].closing = true
		p.tick(p.b)
		require.Len(t, p.a.inbox, 2)
		p.deliver(p.a, 1) // DELETE
		p.deliver(p.a, 0)
		p.pass(time.Minute)
		n := 1
		if restart {
			n = 2
		}
		p.agreed(n)
	}
}

// The peer rekeys what it has just made for us, before we know of it: it is to try
// again, not to forget it.
func TestRekeyingOvertakesTheAnswer(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Children = append(a.Children, ChildConfig{Name: "more", LocalTS: a.Children[0].LocalTS, RemoteTS: []TrafficSelector{mustTS("10.2.0.0/16")}})
		b.Children[0].LocalTS = append(b.Children[0].LocalTS, mustTS("10.2.0.0/16"))
	})
	p.tick(p.a)
	p.deliver(p.b, 0)
	p.b.m.children.list[1].rekeyAt = p.now
	p.tick(p.b)
	require.Len(t, p.a.inbox, 2)
	p.deliver(p.a, 1)
	require.Contains(t, p.a.log.String(), "answering CREATE_CHILD_SA request with TEMPORARY_FAILURE")
	p.pass(time.Minute)
	p.agreed(2)
	require.NotContains(t, p.a.log.String(), message.ChildSANotFound.String())
}

// UPDATE_SA_ADDRESSES is out while the peer rekeys the IKE_SA: it goes out again on
// the new one, and the late answer with the earlier cookie is no fault.
func TestUpdateBesideRekeying(t *testing.T) {
	p := newPair(t, nil)
	p.a.m.mobility.enabled, p.b.m.mobility.enabled = true, true
	p.run(p.a, p.a.m.Roam(p.now, roamed, roamed))
	p.run(p.b, p.b.m.Rekey(p.now))
	p.deliver(p.b, 0) // UPDATE: its answer is late
	late := p.a.inbox[1]
	p.a.inbox = p.a.inbox[:1]
	p.deliver(p.a, 0) // CREATE_CHILD_SA
	require.Equal(t, 2, strings.Count(p.a.log.String(), "sending address list update using MOBIKE"))
	p.a.inbox = append([][]byte{late}, p.a.inbox...)
	p.pass(long)
	n, due := eventsOf[ReauthDue](p.a)
	require.Zero(t, n, due.Reason)
	n, _ = eventsOf[Moved](p.a)
	require.Positive(t, n)
	p.sound()
}

// repeatable is a source of random octets that a seed repeats. Single octets are not
// taken of it: the standard library reads one at random.
type repeatable struct{ *rand.ChaCha8 }

func (r repeatable) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0
		return 1, nil
	}
	return r.ChaCha8.Read(b)
}

// Whatever the order in which the peer deletes and both rekey: in the end there is
// one CHILD_SA.
func TestDeletingUnderChaos(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		require.True(t, t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 0))
			p := newPair(t, func(a, b *Config) {
				restarting(a, b)
				a.Rand = repeatable{rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})}
				b.Rand = repeatable{rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})}
			})
			for range 1 + rng.IntN(60) {
				p.chaos(rng)
			}
			p.pass(20 * time.Minute)
			p.agreed(1)
		}))
	}
}

// chaos lets one thing happen.
func (p *pair) chaos(rng *rand.Rand) {
	s := p.a
	if rng.IntN(2) == 0 {
		s = p.b
	}
	switch rng.IntN(12) {
	case 0:
		p.run(s, s.m.Rekey(p.now))
	case 1, 2:
		p.run(s, s.m.RekeyChildren(p.now))
	case 3:
		p.now = p.now.Add(time.Duration(1+rng.IntN(9000)) * time.Millisecond)
		p.tick(p.a)
		p.tick(p.b)
	case 4:
		if len(s.inbox) > 0 {
			s.inbox = s.inbox[1:]
		}
	case 5:
		p.closeAll(p.b)
	default:
		if n := len(s.inbox); n > 0 {
			p.deliver(s, rng.IntN(n))
		}
	}
}
