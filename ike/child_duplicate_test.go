package ike

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// mirrored makes two ends, each of which asks for the CHILD_SA of IKE_AUTH again
// where it is missing.
func mirrored(t *testing.T) *pair {
	p := newPair(t, func(a, b *Config) {
		a.Children[0].Restart, b.Children[0].Restart = true, true
	})
	return p
}

// end deletes the CHILD_SAs of both ends without a word.
func (p *pair) end() {
	for _, s := range []*side{p.a, p.b} {
		set := &s.m.children
		for _, c := range set.list {
			c.cfg.renew(set)
			set.remove(c)
		}
		clear(s.in)
	}
}

// Both ends set up the CHILD_SA that is missing: one comes out of it.
func TestBothEndsMakeTheMissingChild(t *testing.T) {
	p := mirrored(t)
	p.end()
	p.tick(p.a)
	p.tick(p.b)
	p.settle()
	p.pass(lingerChild * 2)
	require.Len(t, p.a.in, 1, p.a.log.String())
	require.Len(t, p.b.in, 1, p.b.log.String())
	alive, wanted := living(p.a.m)
	require.Equal(t, [2]int{1, 0}, [2]int{alive, wanted})
	require.Equal(t, p.a.outKey, p.b.in[p.a.out])
	require.Equal(t, p.b.outKey, p.a.in[p.b.out])
}

// What the gateway has set up meanwhile is not asked for.
func TestChildThatIsThereIsNotAskedFor(t *testing.T) {
	p := mirrored(t)
	p.end()
	p.b.m.children.wanted = nil
	p.a.m.children.wantedAt = p.now.Add(lingerChild)
	wanted := p.a.m.children.wanted
	p.a.m.children.wanted = nil
	p.b.m.children.wanted = append(p.b.m.children.wanted, p.b.m.children.configured[0])
	p.tick(p.b)
	p.settle()
	require.Len(t, p.a.in, 1)
	p.a.m.children.wanted = wanted
	p.pass(lingerChild * 2)
	require.Len(t, p.a.in, 1)
	require.Contains(t, p.a.log.String(), "not establishing CHILD_SA")
}

// A further CHILD_SA that the gateway sets up does not send before the gateway has
// shown that it has our answer.
func TestFurtherChildWaitsForItsAnswer(t *testing.T) {
	p := newPair(t, func(_, b *Config) {
		b.Children = append(b.Children, ChildConfig{Name: "again", LocalTS: b.Children[0].LocalTS, RemoteTS: b.Children[0].RemoteTS})
	})
	before := p.a.out
	p.tick(p.b)
	p.deliver(p.a, 0)
	require.Len(t, p.a.in, 2)
	require.Equal(t, before, p.a.out)
	require.Zero(t, p.lost)
	p.settle()
	p.b.m.children.list[0].closing = true // its DELETE is a request that follows
	p.tick(p.b)
	p.settle()
	require.NotEqual(t, before, p.a.out)
	require.Zero(t, p.lost)
}

// A further CHILD_SA waits for its proof as long as another one sends the same traffic,
// and no longer: neither where that one closes nor where that one was replaced.
func TestFurtherChildSendsWhereItIsTheOnlyOne(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		for _, another := range []bool{false, true} {
			t.Run(fmt.Sprintf("replaced %v, another one %v", replaced, another), func(t *testing.T) {
				set := &newPair(t, nil).a.m.children
				old := set.list[0]
				old.replaced = replaced
				add := func(spi uint32) *childState {
					return set.add(old.cfg, &ChildSA{SPIIn: spi, SPIOut: spi, LocalTS: old.localTS, RemoteTS: old.remoteTS})
				}
				if another {
					add(0xc0000003)
				}
				further := add(0xc0000004)
				further.unproven = &ikeSA{}
				set.retire(old)
				active := slices.Contains(set.out.Events, Event(ChildActive{SPIIn: further.spiIn}))
				require.Equal(t, !another, active)
				require.Equal(t, another, further.unproven != nil)
			})
		}
	}
}
