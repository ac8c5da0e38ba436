package ike

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// mismatch is a pair whose peer wants another key exchange when rekeying.
func mismatch(t *testing.T, rekey, life time.Duration, peer string) *pair {
	return newPair(t, func(a, b *Config) {
		a.Children[0].Proposals, b.Children[0].Proposals = []string{"aes128gcm16-x25519"}, []string{peer}
		a.Children[0].RekeyTime, a.Children[0].LifeTime = rekey, life
	})
}

// eventsOf counts the events of a kind.
func eventsOf[T Event](s *side) (n int, last T) {
	for _, e := range s.events {
		if v, ok := e.(T); ok {
			n, last = n+1, v
		}
	}
	return n, last
}

// After a PFS mismatch rekeying is tried again with longer and longer waits, and a
// new IKE_SA is asked for while the old CHILD_SA works.
func TestRekeyingRefusedAsksForANewIKESA(t *testing.T) {
	for _, peer := range []string{"aes128gcm16-ecp384", "aes256gcm16-x25519"} {
		p := mismatch(t, 54*time.Minute, time.Hour, peer)
		p.pass(59 * time.Minute)
		n, due := eventsOf[ReauthDue](p.a)
		require.Equal(t, 1, n, p.a.log.String())
		require.Equal(t, "CHILD_SA net{1} cannot be rekeyed on it", due.Reason)
		alive, _ := living(p.a.m)
		require.Equal(t, 1, alive, "it works until its end")
		require.Zero(t, p.lost)
		tries := strings.Count(p.a.log.String(), "establishing CHILD_SA net{2}, rekeying")
		require.GreaterOrEqual(t, tries, 4)
		require.LessOrEqual(t, tries, 7, "with back-off")
	}
}

// Where little of the lifetime is left there is no time for a second refusal.
func TestRekeyingRefusedShortBeforeTheEnd(t *testing.T) {
	p := mismatch(t, 54*time.Second, time.Minute, "aes128gcm16-ecp384")
	p.pass(55 * time.Second)
	n, _ := eventsOf[ReauthDue](p.a)
	require.Equal(t, 1, n, p.a.log.String())
	alive, _ := living(p.a.m)
	require.Equal(t, 1, alive)
}

// Nobody makes the new IKE_SA: the one that has no CHILD_SA any more ends with
// the reason, soon after the hard lifetime.
func TestIKESAWithoutChildEnds(t *testing.T) {
	for _, rekey := range []time.Duration{54 * time.Minute, 0} {
		p := mismatch(t, rekey, time.Hour, "aes128gcm16-ecp384")
		p.pass(time.Hour + 5*time.Minute)
		require.True(t, p.a.m.Done(), p.a.log.String())
		n, failed := eventsOf[Failed](p.a)
		require.Equal(t, 1, n)
		require.ErrorIs(t, failed.Err, ErrChild)
		var refused *ChildError
		require.ErrorAs(t, failed.Err, &refused)
		require.Equal(t, message.NoProposalChosen, refused.Notify)
		n, _ = eventsOf[ReauthDue](p.a)
		require.Equal(t, 1, n)
		require.True(t, p.b.m.Done(), "it got our DELETE")
	}
}

// A gateway that accepts again soon keeps the IKE_SA, before and after the hard
// lifetime.
func TestRekeyingAcceptedAgain(t *testing.T) {
	fixed, err := crypto.ParseProposals(message.ProtocolESP, []string{"aes128gcm16-x25519"})
	require.NoError(t, err)
	for _, after := range []time.Duration{54*time.Minute + 20*time.Second, time.Hour + 20*time.Second} {
		p := mismatch(t, 54*time.Minute, time.Hour, "aes128gcm16-ecp384")
		p.pass(after)
		p.b.m.children.configured[0].proposals = fixed
		p.pass(3 * time.Minute)
		require.False(t, p.a.m.Done(), p.a.log.String())
		alive, wanted := living(p.a.m)
		require.Equal(t, [2]int{1, 0}, [2]int{alive, wanted}, p.a.log.String())
		require.Zero(t, p.a.m.children.configured[0].refusals)
		require.False(t, p.a.m.children.configured[0].renewing)
	}
}
