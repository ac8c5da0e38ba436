package ike

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
)

// A gateway's answer that is not quite right, but cannot be misunderstood, does
// not end the connection.
func TestTolerance(t *testing.T) {
	for name, edit := range map[string]func(r *responder){
		"proposal number of IKE": func(r *responder) {
			r.editInit = func(m *message.Message) {
				sa, _ := message.First[*message.SA](m.Payloads)
				sa.Proposals[0].Number = 7
			}
		},
		"proposal number of ESP": func(r *responder) {
			r.editChild = func(ps []message.Payload) []message.Payload {
				ps[0].(*message.SA).Proposals[0].Number = 2
				return ps
			}
		},
		"odd hash algorithms": func(r *responder) {
			r.editInit = func(m *message.Message) {
				n := m.Notify(message.SignatureHashAlgorithms)
				n.Data = append(n.Data, 0)
			}
		},
		"many notifies": func(r *responder) {
			r.editChild = func(ps []message.Payload) []message.Payload {
				for i := range 64 { // 20 are the most in strongSwan
					ps = append(ps, notify(message.AdditionalIP4Address, []byte{10, 0, 0, byte(i)}))
				}
				return ps
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { edit(r) })
			n.start()
			n.established()
			if name == "odd hash algorithms" {
				require.Equal(t, signature.Announced, n.m.auth.peer.hashes)
				require.Contains(t, n.log.String(), "ignoring the last octet of SIGNATURE_HASH_ALGORITHMS")
			}
		})
	}
}
