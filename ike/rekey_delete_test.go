package ike

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ended asserts that a Machine is done without an error, and that nobody was asked for
// another IKE_SA.
func (s *side) ended(t *testing.T) {
	require.True(t, s.m.Done(), "%s\n%s", s.name, &s.log)
	for _, e := range s.events {
		switch e := e.(type) {
		case ReauthDue, Failed:
			require.Fail(t, "event", "%s: %T", s.name, e)
		}
	}
}

// Where our rekeying of the IKE_SA is out when it is to be deleted, the peer has an
// IKE_SA already that takes the CHILD_SAs over: that one is deleted, whatever the
// answer says and whoever wins where both rekey it.
func TestDeleteWhileTheIKESAIsRekeyed(t *testing.T) {
	deleteAndSettle := func(t *testing.T, p *pair) {
		p.run(p.a, p.a.m.Delete(p.now))
		p.settle()
		p.a.ended(t)
		p.b.ended(t)
	}
	t.Run("answer is under way", func(t *testing.T) {
		p := newPair(t, nil)
		p.run(p.a, p.a.m.Rekey(p.now))
		p.deliver(p.b, 0)
		deleteAndSettle(t, p)
	})
	t.Run("request is under way", func(t *testing.T) {
		p := newPair(t, nil)
		p.run(p.a, p.a.m.Rekey(p.now))
		deleteAndSettle(t, p)
	})
	t.Run("additional key exchange", func(t *testing.T) {
		p := newHybridPair(t)
		p.run(p.a, p.a.m.Rekey(p.now))
		p.deliver(p.b, 0)
		p.deliver(p.a, 0)
		require.Contains(t, p.a.log.String(), "generating IKE_FOLLOWUP_KE request")
		deleteAndSettle(t, p)
	})
	t.Run("refused", func(t *testing.T) {
		p := newPair(t, nil)
		p.run(p.b, p.b.m.RekeyChildren(p.now))
		p.run(p.a, p.a.m.Rekey(p.now))
		p.deliver(p.b, 0)
		deleteAndSettle(t, p)
		require.Contains(t, p.a.log.String(), "received TEMPORARY_FAILURE")
	})
	t.Run("both rekey it", func(t *testing.T) {
		seen := map[bool]bool{}
		for range 40 {
			p := newPair(t, nil)
			p.collide(func(m *Machine) Outputs { return m.Rekey(p.now) })
			p.deliver(p.b, 0)
			p.deliver(p.a, 0)
			deleteAndSettle(t, p)
			seen[strings.Contains(p.a.log.String(), "collision won")] = true
		}
		require.Len(t, seen, 2)
	})
	t.Run("the peer rekeys it and deletes the old one before our answer", func(t *testing.T) {
		p := newPair(t, nil)
		p.run(p.b, p.b.m.Rekey(p.now))
		p.run(p.a, p.a.m.Rekey(p.now))
		p.b.inbox = nil // our request is lost
		p.deliver(p.a, 0)
		p.run(p.a, p.a.m.Delete(p.now))
		p.deliver(p.b, 0) // the answer, and with it b deletes the old IKE_SA
		p.deliver(p.a, 0)
		p.settle()
		p.a.ended(t)
		p.b.ended(t)
	})
}

// The peer rekeys the IKE_SA while our rekeying is out, and deletes what it made before
// our answer comes: the answer says whether that was redundant, or all that there is.
func TestDeleteOfWhatThePeerMade(t *testing.T) {
	closedByPeer := func(t *testing.T, s *side) {
		s.ended(t)
		require.Equal(t, Closed{ByPeer: true}, s.events[len(s.events)-1])
	}
	t.Run("both rekey it", func(t *testing.T) {
		seen := map[bool]bool{}
		for range 40 {
			p := newPair(t, nil)
			p.collide(func(m *Machine) Outputs { return m.Rekey(p.now) })
			p.deliver(p.a, 0)
			p.deliver(p.b, 0)
			answer := p.a.inbox[0]
			p.a.inbox = nil
			p.deliver(p.b, 0) // b knows who won, and deletes what is redundant
			won := strings.Contains(p.b.log.String(), "collision lost")
			if !won {
				p.a.inbox = nil // the DELETE of the old IKE_SA is lost
				p.run(p.b, p.b.m.Delete(p.now))
			}
			require.Len(t, p.a.inbox, 1)
			p.deliver(p.a, 0)
			require.Contains(t, p.a.log.String(), "received DELETE for IKE_SA")
			require.False(t, p.a.m.Done(), "%s", &p.a.log)
			p.a.inbox = append(p.a.inbox, answer)
			p.deliver(p.a, 0)
			if seen[won] = true; won {
				require.False(t, p.a.m.Done(), "%s", &p.a.log)
				p.settle()
				p.pass(long)
				p.sound()
			} else {
				closedByPeer(t, p.a)
			}
		}
		require.Len(t, seen, 2)
	})
	t.Run("ours is refused", func(t *testing.T) {
		p := newPair(t, nil)
		p.collide(func(m *Machine) Outputs { return m.Rekey(p.now) })
		request := p.b.inbox[0]
		p.b.inbox = nil // it is late
		p.deliver(p.a, 0)
		p.deliver(p.b, 0)
		p.a.inbox = nil // the DELETE of the old IKE_SA is lost
		p.run(p.b, p.b.m.Delete(p.now))
		p.deliver(p.a, 0)
		require.False(t, p.a.m.Done(), "%s", &p.a.log)
		p.b.inbox = append([][]byte{request}, p.b.inbox...)
		p.deliver(p.b, 0)
		p.deliver(p.a, 0)
		require.Contains(t, p.a.log.String(), "received TEMPORARY_FAILURE")
		closedByPeer(t, p.a)
	})
	t.Run("the old one too", func(t *testing.T) {
		p := newPair(t, nil)
		p.collide(func(m *Machine) Outputs { return m.Rekey(p.now) })
		p.b.inbox = nil // our request is lost
		p.deliver(p.a, 0)
		p.deliver(p.b, 0)
		p.run(p.b, p.b.m.Delete(p.now))
		require.Len(t, p.a.inbox, 2)
		p.deliver(p.a, 1)
		require.False(t, p.a.m.Done(), "%s", &p.a.log)
		p.deliver(p.a, 0)
		closedByPeer(t, p.a)
	})
}
