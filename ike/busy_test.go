package ike

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// refusing returns a network whose gateway answers every CREATE_CHILD_SA with
// an error.
func refusing(t *testing.T, answer message.NotifyType, edit func(*Config)) *network {
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		r.createErr = answer
		if edit != nil {
			edit(c)
		}
	})
	n.start()
	n.established()
	n.events = nil
	return n
}

// pass lets d go by, or less where the Machine is done before.
func (n *network) pass(d time.Duration) {
	end := n.now.Add(d)
	for range 1000 {
		if at := n.m.NextDeadline(); at.IsZero() || at.After(end) {
			n.now = end
			return
		}
		n.wait()
	}
	require.Fail(n.t, "deadlines do not advance", n.log.String())
}

// deletesChild lets the gateway delete the first CHILD_SA.
func (n *network) deletesChild() {
	n.fromGateway(n.r.request(message.Informational, &message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{{0xc1, 2, 3, 4}}}))
}

// A gateway that is busy for ever: after some minutes a new IKE_SA is asked for,
// then this one is closed, whatever CREATE_CHILD_SA is for.
func TestTemporaryFailureForever(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*Config)
		start func(n *network)
	}{
		"rekeying a CHILD_SA": {nil, func(n *network) { n.run(n.m.RekeyChildren(n.now)) }},
		"rekeying the IKE_SA": {nil, func(n *network) { n.run(n.m.Rekey(n.now)) }},
		"a new CHILD_SA":      {func(c *Config) { c.Children = append(c.Children, ChildConfig{Name: "more"}) }, func(*network) {}},
		"a CHILD_SA again":    {func(c *Config) { c.Children[0].Restart = true }, (*network).deletesChild},
		"an expired CHILD_SA": {func(c *Config) { c.Children[0].LifeTime = 10 * time.Minute }, func(n *network) { n.pass(10 * time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			n := refusing(t, message.TemporaryFailure, c.edit)
			c.start(n)
			n.pass(maxBusy - time.Second)
			_, asked := event[ReauthDue](n)
			require.False(t, asked, n.log.String())
			n.pass(time.Minute)
			due, asked := event[ReauthDue](n)
			require.True(t, asked, n.log.String())
			require.Regexp(t, "^the gateway has answered TEMPORARY_FAILURE for 3m", due.Reason)
			require.False(t, n.m.Done(), "it goes on until there is a new one")
			n.pass(closeBusy)
			require.ErrorIs(t, n.failure(), ErrRefused)
			require.ErrorContains(t, n.failure(), "TEMPORARY_FAILURE for 5m")
			require.Regexp(t, `^INFORMATIONAL request \d+ \[ D \]$`, n.r.seen[len(n.r.seen)-1])
			tries := strings.Count(n.log.String(), "received TEMPORARY_FAILURE notify error")
			require.InDelta(t, 30, tries, 22)
		})
	}
}

// Another answer in between ends the count.
func TestTemporaryFailureEnds(t *testing.T) {
	n := refusing(t, message.TemporaryFailure, nil)
	n.run(n.m.RekeyChildren(n.now))
	for range 3 {
		n.r.createErr = message.TemporaryFailure
		n.pass(maxBusy - time.Minute)
		n.r.createErr = message.NoProposalChosen
		n.m.children.configured[0].refusals = 0
		n.pass(30 * time.Second)
	}
	_, asked := event[ReauthDue](n)
	require.False(t, asked, n.log.String())
	require.False(t, n.m.Done())
}

// The gateway deletes the only CHILD_SA and refuses another one: the IKE_SA is of no
// use and ends with the reason. ChildClosed says that another is being made.
func TestClosedChildIsNotRenewed(t *testing.T) {
	for _, answer := range []message.NotifyType{message.NoProposalChosen, message.TSUnacceptable, message.NoAdditionalSAs} {
		n := refusing(t, answer, func(c *Config) { c.Children[0].Restart = true })
		n.deletesChild()
		closed, ok := event[ChildClosed](n)
		require.True(t, ok)
		require.True(t, closed.Renewing)
		n.pass(5 * time.Minute)
		require.ErrorIs(t, n.failure(), ErrChild, answer.String())
		require.ErrorContains(t, n.failure(), fmt.Sprint(answer))
	}
	n := refusing(t, message.NoProposalChosen, nil)
	n.deletesChild()
	closed, _ := event[ChildClosed](n)
	require.False(t, closed.Renewing, "nothing was configured")
	n.pass(5 * time.Minute)
	require.False(t, n.m.Done())
}

// A CHILD_SA that reaches its hard lifetime is renewed, whatever close_action says.
func TestExpiredChildIsRenewing(t *testing.T) {
	p := newPair(t, func(a, _ *Config) { a.Children[0].LifeTime = time.Minute })
	p.pass(time.Minute + time.Second)
	n, closed := eventsOf[ChildClosed](p.a)
	require.Equal(t, 1, n)
	require.True(t, closed.Renewing)
	n, _ = eventsOf[ChildEstablished](p.a)
	require.Equal(t, 1, n)
	alive, wanted := living(p.a.m)
	require.Equal(t, [2]int{1, 0}, [2]int{alive, wanted})
}

// The gateway made a second CHILD_SA of the same kind and deletes it: the first one
// is all that is configured.
func TestSecondChildIsNotRenewed(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Children[0].Restart = true
		b.Children = append(b.Children, ChildConfig{Name: "again", LocalTS: b.Children[0].LocalTS, RemoteTS: b.Children[0].RemoteTS})
	})
	p.tick(p.b)
	p.settle()
	require.Len(t, p.a.m.children.list, 2)
	p.b.m.children.list[1].closing = true
	p.b.m.children.list[1].cfg.Restart = false
	p.tick(p.b)
	p.settle()
	alive, wanted := living(p.a.m)
	require.Equal(t, [2]int{1, 0}, [2]int{alive, wanted}, p.a.log.String())
}

// What was refused has become needless, as the gateway deleted it; a refusal long after
// that is another matter.
func TestTemporaryFailureOfAnotherTime(t *testing.T) {
	n := refusing(t, message.TemporaryFailure, nil)
	n.run(n.m.RekeyChildren(n.now))
	n.deletesChild()
	n.pass(2 * maxBusy)
	n.run(n.m.Rekey(n.now))
	for _, e := range n.events {
		_, asked := e.(ReauthDue)
		require.False(t, asked, n.log.String())
	}
	require.Zero(t, n.m.life.busy.closeAt)
}
