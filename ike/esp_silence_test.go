package ike

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// sendsAlone lets packets leave, one a second, that nobody answers.
func (n *network) sendsAlone(d time.Duration) {
	for end := n.now.Add(d); n.now.Before(end); {
		n.now = n.now.Add(time.Second)
		n.m.Sent(n.now)
		n.run(n.m.Tick(n.now))
	}
}

// The NAT gave us another mapping, and the gateway sends ESP to the one that is gone:
// it is told where we are, then new CHILD_SAs are made, at longer and longer pauses.
func TestSilenceOfESP(t *testing.T) {
	n := mobile(t)
	n.m.path.translated = true
	n.m.Alive(n.now)
	n.sendsAlone(silenceAfter - time.Second)
	require.NotContains(t, n.log.String(), "telling it our addresses")
	var update Packet
	n.drop = func(toGateway bool, _ int, _ []byte) bool { return toGateway }
	n.sendsAlone(3 * time.Second)
	require.Contains(t, n.log.String(), "telling it our addresses again")
	require.NotNil(t, n.m.sas.current.pending)
	require.Equal(t, doUpdate, n.m.sas.current.pending.what)
	update = n.sent[len(n.sent)-1]
	n.drop = nil
	answerUpdate(t, n, update, func(ps []message.Payload) []message.Payload {
		ps[1] = notify(message.NATDetectionDestinationIP, make([]byte, 20)) // a NAT
		return ps
	})
	require.NotContains(t, n.log.String(), "making new CHILD_SAs")
	n.sendsAlone(silencePause)
	require.Contains(t, n.log.String(), "making new CHILD_SAs")
	require.Contains(t, n.log.String(), "rekeying "+n.m.children.list[0].String())
}

func TestSilenceWithoutMOBIKE(t *testing.T) {
	n := up(t, nil)
	n.m.path.translated = true
	n.m.Alive(n.now)
	n.sendsAlone(silenceAfter + 2*time.Second)
	require.NotContains(t, n.log.String(), "telling it our addresses")
	require.Contains(t, n.log.String(), "making new CHILD_SAs")
}

// What is no sign of a lost mapping changes nothing.
func TestSilenceThatMeansNothing(t *testing.T) {
	for name, f := range map[string]func(n *network){
		"no NAT": func(n *network) {
			n.m.path.translated = false
			n.m.Alive(n.now)
			n.sendsAlone(5 * time.Minute)
		},
		"nothing ever came": func(n *network) { n.sendsAlone(5 * time.Minute) },
		"nothing is sent": func(n *network) {
			n.m.Alive(n.now)
			n.m.Sent(n.now.Add(time.Second))
			n.pass(5 * time.Minute)
		},
		"packets come": func(n *network) {
			for range 60 {
				n.m.Alive(n.now)
				n.sendsAlone(10 * time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := mobile(t)
			n.m.path.translated = true
			f(n)
			require.NotContains(t, n.log.String(), "no ESP packet from the gateway")
		})
	}
}

// Traffic that nobody answers is not taken for a lost mapping again and again.
func TestSilencePauses(t *testing.T) {
	n := up(t, nil)
	n.m.path.translated = true
	n.m.Alive(n.now)
	n.sendsAlone(2 * time.Hour)
	rounds := strings.Count(n.log.String(), "making new CHILD_SAs")
	require.LessOrEqual(t, rounds, 12)
	require.GreaterOrEqual(t, rounds, 3)
}
