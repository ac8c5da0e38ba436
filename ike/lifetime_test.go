package ike

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func authLifetime(seconds uint32) message.Payload {
	return notify(message.AuthLifetime, binary.BigEndian.AppendUint32(nil, seconds))
}

// AUTH_LIFETIME counts in an INFORMATIONAL request as in IKE_AUTH (RFC 4478).
func TestAuthLifetimeInBothExchanges(t *testing.T) {
	auth := up(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editChild = func(ps []message.Payload) []message.Payload { return append(ps, authLifetime(600)) }
	})
	informational := up(t, nil)
	require.True(t, informational.m.NextDeadline().IsZero())
	informational.fromGateway(informational.r.request(message.Informational, authLifetime(600)))
	for _, n := range []*network{auth, informational} {
		require.Equal(t, n.now.Add(540*time.Second), n.m.NextDeadline(), n.log.String())
		require.Contains(t, n.log.String(), "received AUTH_LIFETIME of 600s")
		require.Contains(t, n.log.String(), "scheduling reauthentication in 540s")
		require.True(t, n.wait())
		_, ok := event[ReauthDue](n)
		require.True(t, ok)
	}
}

// A gateway that says 1 s, or 0, again and again, makes us reauthenticate once,
// and no sooner than minAuthLifetime.
func TestAuthLifetimeHasAFloor(t *testing.T) {
	for _, seconds := range []uint32{0, 1, 66} {
		n := up(t, func(_ *Config, r *responder, _ *fakeEAP) {
			r.editChild = func(ps []message.Payload) []message.Payload { return append(ps, authLifetime(seconds)) }
		})
		due := n.now.Add(minAuthLifetime)
		require.Equal(t, due, n.m.NextDeadline())
		require.Contains(t, n.log.String(), "is short, reauthenticating after 60s at the soonest")
		for range 5 { // repeated, it puts nothing off
			n.now = n.now.Add(10 * time.Second)
			n.fromGateway(n.r.request(message.Informational, authLifetime(seconds)))
			require.Equal(t, due, n.m.NextDeadline())
		}
		require.True(t, n.wait())
		n.fromGateway(n.r.request(message.Informational, authLifetime(seconds)))
		require.True(t, n.m.NextDeadline().IsZero(), "it was asked for already")
	}
}

// What we configured ourselves comes first where it is sooner; a longer or
// malformed AUTH_LIFETIME changes nothing.
func TestAuthLifetimeBesideReauthTime(t *testing.T) {
	n := up(t, func(c *Config, _ *responder, _ *fakeEAP) { c.Timers.ReauthTime = 10 * time.Minute })
	due := n.now.Add(10 * time.Minute)
	require.Equal(t, due, n.m.NextDeadline())
	for _, p := range []message.Payload{authLifetime(7200), notify(message.AuthLifetime, []byte{0, 1})} {
		n.fromGateway(n.r.request(message.Informational, p))
		require.Equal(t, due, n.m.NextDeadline())
	}
	require.Contains(t, n.log.String(), "reauthentication already scheduled in 600s")
	n.fromGateway(n.r.request(message.Informational, authLifetime(120)))
	require.Equal(t, n.now.Add(108*time.Second), n.m.NextDeadline())
}
