package ike

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// rekeyed makes a pair whose first side has the proposals ours and the other one
// those of the gateway, and lets each rekey the CHILD_SA; retries counts the
// INVALID_KE_PAYLOADs.
func rekeyedBothWays(t *testing.T, ours, gateway []string) (p *pair, retries int) {
	p = newPair(t, func(a, b *Config) { a.Children[0].Proposals, b.Children[0].Proposals = ours, gateway })
	for _, s := range []*side{p.a, p.b} {
		p.run(s, s.m.RekeyChildren(p.now))
		p.pass(time.Minute)
		p.sound()
	}
	return p, strings.Count(p.a.log.String()+p.b.log.String(), "peer didn't accept key exchange method")
}

// Default ESP proposals offer, and accept at rekeying, a key exchange beside none: a
// gateway that insists on perfect forward secrecy (libreswan's pfs=yes), one that
// has none, and one that leaves it open are all rekeyed with, by either side.
func TestDefaultProposalsRekeyWithOrWithoutSecrecy(t *testing.T) {
	for name, c := range map[string]struct {
		gateway []string
		ke      message.KEMethod
		retries int
	}{
		"with the group of the IKE_SA": {[]string{"aes256gcm16-x25519"}, message.KECurve25519, 0},
		"only CBC, with the group":     {[]string{"aes256-sha256-x25519"}, message.KECurve25519, 0},
		"with another group":           {[]string{"aes128gcm16-modp3072"}, message.KEMODP3072, 1},
		"without":                      {[]string{"aes256gcm16"}, message.KENone, 0},
		"with a group or without":      {[]string{"aes256-sha256-ecp256-none"}, message.KEECP256, 1},
		"default":                      {nil, message.KECurve25519, 0},
	} {
		for _, ours := range [][]string{nil, {"default"}, {"chacha20poly1305-ecp521", "default"}} {
			t.Run(name, func(t *testing.T) {
				p, retries := rekeyedBothWays(t, ours, c.gateway)
				_, last := eventsOf[ChildRekeyed](p.a)
				require.Equal(t, c.ke, last.Child.ESP.KE)
				if len(ours) < 2 {
					require.Equal(t, c.retries, retries)
				}
			})
		}
	}
}

// Proposals that are written out mean what they say: none without a key exchange is
// offered one.
func TestConfiguredProposalsAreKept(t *testing.T) {
	p, _ := rekeyedBothWays(t, []string{"aes256gcm16-aes128gcm16"}, []string{"aes256gcm16-none-x25519"})
	_, last := eventsOf[ChildRekeyed](p.a)
	require.Equal(t, message.KENone, last.Child.ESP.KE)
	require.NotContains(t, p.a.log.String(), "No KE")
}
