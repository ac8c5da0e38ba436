package ike

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

func withAddKE(proposal string) func(*Config, *responder, *fakeEAP) {
	return func(c *Config, r *responder, _ *fakeEAP) {
		c.Proposals = []string{proposal}
		var err error
		r.proposals, err = crypto.ParseProposals(message.ProtocolIKE, c.Proposals)
		require.NoError(r.t, err)
	}
}

// One IKE_INTERMEDIATE for each additional key exchange, before IKE_AUTH, whose
// AUTH payloads cover them (RFC 9370 section 2.2.2, RFC 9242 section 3.3).
func TestAdditionalKeyExchanges(t *testing.T) {
	for proposal, exchanges := range map[string]int{
		"aes128gcm16-prfsha256-x25519-ke1_mlkem768":                         1,
		"aes256-sha384-ecp384-ke2_mlkem1024":                                1,
		"aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke3_ecp256-ke7_modp2048": 3,
		"aes128ctr-aesxcbc-mlkem768-ke1_x25519":                             1, // a KEM first, and a PRF that shortens nonces
		"aes128gcm16-prfsha256-x25519-ke1_none":                             0,
	} {
		t.Run(proposal, func(t *testing.T) {
			n := newNetwork(t, withAddKE(proposal))
			n.start()
			e, child := n.established()
			require.Equal(t, n.r.childKeys.Ei, child.Keys.Ei, "SK_d of the last key exchange")
			got := 0
			for _, s := range n.r.seen {
				if h := "IKE_INTERMEDIATE request"; len(s) > len(h) && s[:len(h)] == h {
					got++
				}
			}
			require.Equal(t, exchanges, got, "%v", n.r.seen)
			require.Equal(t, n.r.suite.String(), "IKE:"+e.Suite[len("IKE:"):])
			require.Empty(t, n.r.left)
		})
	}
}

// ML-KEM-1024 is larger than a datagram may be: it goes in fragments; what gets
// lost is sent again.
func TestIntermediateFragmentsAndLoss(t *testing.T) {
	n := newNetwork(t, withAddKE("aes128gcm16-prfsha256-x25519-ke1_mlkem1024"))
	lost := map[bool]int{}
	n.drop = func(up bool, k int, _ []byte) bool {
		lost[up]++
		return lost[up] == 3 // the second fragment of both
	}
	n.start()
	for range 3 {
		if _, ok := event[Established](n); ok {
			break
		}
		require.True(t, n.wait())
	}
	n.established()
	require.GreaterOrEqual(t, n.r.fragsIn, 3)
	require.GreaterOrEqual(t, n.r.fragsOut, 2)
}

func TestIntermediateRefusals(t *testing.T) {
	const hybrid = "aes128gcm16-prfsha256-x25519-ke1_mlkem768"
	for name, c := range map[string]struct {
		edit func(*responder)
		says error
	}{
		"IKE_INTERMEDIATE not supported": {func(r *responder) {
			r.editInit = func(m *message.Message) {
				for i, p := range m.Payloads {
					if n, ok := p.(*message.Notify); ok && n.NotifyType == message.IntermediateExchangeSupported {
						m.Payloads = append(m.Payloads[:i:i], m.Payloads[i+1:]...)
						return
					}
				}
			}
		}, ErrProtocol},
		"no value":       {func(r *responder) { r.editInt = func([]message.Payload) []message.Payload { return nil } }, ErrProtocol},
		"another method": {func(r *responder) { r.editInt = ke(message.KEECP256, 64) }, ErrProtocol},
		"short value":    {func(r *responder) { r.editInt = ke(message.KEMLKEM768, 1087) }, ErrProtocol},
		"notify": {func(r *responder) {
			r.editInt = func([]message.Payload) []message.Payload {
				return []message.Payload{notify(message.InvalidSyntax, nil)}
			}
		}, ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(cfg *Config, r *responder, e *fakeEAP) {
				withAddKE(hybrid)(cfg, r, e)
				c.edit(r)
			})
			n.start()
			require.ErrorIs(t, n.failure(), c.says)
		})
	}
}

func ke(m message.KEMethod, octets int) func([]message.Payload) []message.Payload {
	return func([]message.Payload) []message.Payload {
		return []message.Payload{&message.KE{Method: m, Data: make([]byte, octets)}}
	}
}

// A gateway whose AUTH does not cover the IKE_INTERMEDIATE exchanges is refused:
// somebody may have taken the additional key exchange out.
func TestAuthWithoutIntermediateIsRefused(t *testing.T) {
	n := newNetwork(t, withAddKE("aes128gcm16-prfsha256-x25519-ke1_mlkem768"))
	n.drop = func(up bool, _ int, b []byte) bool {
		if up && b[18] == byte(message.IKEAuth) && n.r.firstAuth != 0 && n.r.round > n.r.rounds {
			n.r.intAuth = crypto.IntermediateAuth{}
		}
		return false
	}
	n.start()
	require.Error(t, n.failure())
	require.False(t, n.r.authOK)
}
