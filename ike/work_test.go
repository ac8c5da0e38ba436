package ike

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// askedForStatus is a network whose gateway asks for OCSP responses about our
// certificate; they come from ocsp.
func askedForStatus(t *testing.T, ocsp func(context.Context) [][]byte) *network {
	own, theirs := newSigner(t, "p256"), newSigner(t, "p256")
	return newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		signed(c, r, own, theirs)
		r.certReq, r.ocspReq = [][]byte{authority('a')}, true
		c.LocalRounds[0].Credentials[0].OCSP = ocsp
	})
}

// blocked answers when ctx ends, as a responder that does not answer.
func blocked(ctx context.Context) [][]byte {
	<-ctx.Done()
	return [][]byte{[]byte("late")}
}

// A status request never holds the Machine: no call of it waits for the fetch,
// and after its time the connection goes on without the responses.
func TestStatusRequestNeverHoldsTheMachine(t *testing.T) {
	n := askedForStatus(t, blocked)
	n.hold = true
	began := time.Now()
	n.start()
	require.Len(t, n.work, 1)
	work := n.work[0].(*StatusRequest)
	require.Len(t, n.r.seen, 1, "IKE_AUTH waits for the responses")
	require.Equal(t, n.now.Add(statusTimeout), n.m.NextDeadline())
	n.now = n.now.Add(statusTimeout / 2)
	n.run(n.m.Tick(n.now))
	require.Len(t, n.r.seen, 1)
	n.work = nil
	n.hold = false
	n.wait()
	require.Less(t, time.Since(began), statusTimeout/2, "nothing waited")
	n.established()
	require.Empty(t, n.r.clientOCSP)
	require.Len(t, n.r.clientCerts, 2)
	require.Empty(t, n.m.Resume(n.now, work.Answer([][]byte{[]byte("late")})), "a late answer does nothing")
}

func TestStatusRequestIsAnswered(t *testing.T) {
	n := askedForStatus(t, blocked)
	n.hold = true
	n.start()
	work := n.work[0].(*StatusRequest)
	n.hold = false
	n.run(n.m.Resume(n.now, work.Answer([][]byte{[]byte("status")})))
	n.established()
	require.Equal(t, [][]byte{[]byte("status")}, n.r.clientOCSP)
}

// The fetch ends with its context, which the one who carries it out cancels.
func TestStatusRequestEndsWithItsContext(t *testing.T) {
	n := askedForStatus(t, blocked)
	n.hold = true
	n.start()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.hold = false
	n.run(n.m.Resume(n.now, n.work[0].Do(ctx)))
	n.established()
}

// Ending the connection does not wait for work, and what comes later is dropped.
func TestWorkAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(n *network) Outputs{
		"delete": func(n *network) Outputs { return n.m.Delete(n.now) },
		"close":  func(n *network) Outputs { n.m.Close(); return Outputs{} },
		"expire": func(n *network) Outputs { return n.m.Tick(n.now.Add(DefaultEstablishTimeout)) },
	} {
		t.Run(name, func(t *testing.T) {
			n := askedForStatus(t, func(context.Context) [][]byte { return nil })
			n.hold = true
			n.start()
			r := n.work[0].Do(t.Context())
			n.run(end(n))
			require.True(t, n.m.Done())
			require.Empty(t, n.m.Resume(n.now, r))
			require.True(t, n.m.NextDeadline().IsZero())
		})
	}
}

// A Result belongs to one Work of one Machine.
func TestResultOfAnotherMachine(t *testing.T) {
	a, b := newNetwork(t, nil), newNetwork(t, nil)
	a.hold, b.hold = true, true
	a.start()
	b.start()
	r := a.work[0].Do(t.Context())
	require.Empty(t, b.m.Resume(b.now, r))
	require.Nil(t, b.m.sas.current.pending)
	b.hold = false
	b.run(b.m.Resume(b.now, b.work[0].Do(t.Context())))
	b.established()
}
