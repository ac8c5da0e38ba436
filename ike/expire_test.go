package ike

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// living counts the CHILD_SAs that are not closed, and how many are to be made.
func living(m *Machine) (n, wanted int) {
	for _, c := range m.children.list {
		if !c.dead {
			n++
		}
	}
	return n, len(m.children.wanted)
}

// The peer rekeyed the CHILD_SA and leaves the old one to its lifetime: at its end
// the rekeying is concluded, and no further CHILD_SA is made.
func TestExpireOfWhatThePeerReplaced(t *testing.T) {
	p := newPair(t, func(a, _ *Config) { a.Children[0].LifeTime = time.Hour })
	p.now = p.now.Add(54 * time.Minute)
	p.run(p.b, p.b.m.RekeyChildren(p.now))
	require.Len(t, p.a.inbox, 1, "CREATE_CHILD_SA of the peer")
	p.deliver(p.a, 0)
	p.deliver(p.b, 0)
	p.a.inbox = nil // its DELETE is lost
	n, _ := living(p.a.m)
	require.Equal(t, 2, n, "the new one stands by")
	p.now = p.now.Add(7 * time.Minute)
	p.tick(p.a)
	require.Contains(t, p.a.log.String(), "reached its hard lifetime")
	require.Empty(t, p.a.m.children.wanted)
	require.Len(t, p.b.inbox, 1, "DELETE of the old one")
	p.settle()
	n, wanted := living(p.a.m)
	require.Equal(t, [2]int{1, 0}, [2]int{n, wanted}, p.a.log.String())
	require.Equal(t, p.a.m.children.list[len(p.a.m.children.list)-1].spiOut, p.a.out, "the new one sends")
}

// Our rekeying is done and the answer to the DELETE of the old one is late: its
// hard lifetime makes no further CHILD_SA.
func TestExpireOfWhatWeReplaced(t *testing.T) {
	p := newPair(t, func(a, _ *Config) {
		a.Children[0].RekeyTime, a.Children[0].LifeTime = 54*time.Minute, 54*time.Minute+2*time.Second
	})
	p.now = p.now.Add(54 * time.Minute)
	p.tick(p.a)
	p.deliver(p.b, 0)
	p.deliver(p.a, 0)
	require.Contains(t, p.a.log.String(), "sending DELETE for ESP CHILD_SA")
	p.now = p.now.Add(3 * time.Second)
	p.tick(p.a)
	p.settle()
	n, wanted := living(p.a.m)
	require.Equal(t, [2]int{1, 0}, [2]int{n, wanted}, p.a.log.String())
}

// The hard lifetime comes while the rekeying is out: its answer decides, one
// CHILD_SA is left.
func TestExpireDuringRekeying(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		p := newPair(t, func(a, b *Config) {
			a.Children[0].RekeyTime, a.Children[0].LifeTime = 54*time.Minute, 54*time.Minute+2*time.Second
		})
		p.now = p.now.Add(54 * time.Minute)
		p.tick(p.a)
		if refuse { // the peer is about to delete the CHILD_SA: TEMPORARY_FAILURE
			p.b.m.children.list[0].closing = true
		}
		p.now = p.now.Add(2 * time.Second)
		p.tick(p.a)
		require.Contains(t, p.a.log.String(), "reached its hard lifetime")
		p.b.m.children.list[0].closing = refuse
		p.settle()
		p.pass(long)
		n, wanted := living(p.a.m)
		require.Equal(t, [2]int{1, 0}, [2]int{n, wanted}, "refused: %v\n%s", refuse, p.a.log.String())
		m, _ := living(p.b.m)
		require.Equal(t, 1, m, "refused: %v\n%s", refuse, p.b.log.String())
		require.Equal(t, refuse, strings.Contains(p.a.log.String(), "TEMPORARY_FAILURE"))
	}
}
