package eaptest

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
)

// Truncated replays a conversation that succeeds and cuts one packet of the
// server short, each in turn, at its fields and in the middle of its data: once
// with the EAP length as it was, once with one that fits. Neither may lead to
// success, nor may a Success that follows unless it was acceptable before.
func Truncated(t *testing.T, both func() (*eap.Peer, Server)) {
	t.Helper()
	for step, done := 0, false; !done; step++ {
		for cut := 0; ; cut++ {
			peer, server := both()
			packet := server.Start()
			for range step {
				response, _, err := peer.Handle(packet)
				require.NoError(t, err)
				packet, _, err = server.Handle(response)
				require.NoError(t, err)
			}
			cuts := cutsOf(packet)
			done = packet[0] == byte(eap.CodeSuccess)
			if !done && cut < len(cuts) {
				n := cuts[cut]
				_, status, err := peer.Handle(packet[:n])
				require.Equal(t, eap.StatusFailure, status, "step %d, %d of %d octets", step, n, len(packet))
				require.Error(t, err)
				peer.Close()
				server.Close()

				peer, server = both()
				packet = server.Start()
				for range step {
					response, _, _ := peer.Handle(packet)
					packet, _, _ = server.Handle(response)
				}
				if n = min(n, len(packet)-1); n >= 5 {
					short := append([]byte(nil), packet[:n]...)
					binary.BigEndian.PutUint16(short[2:], uint16(n))
					before := peer.Decision()
					_, status, _ = peer.Handle(short)
					require.NotEqual(t, eap.StatusSuccess, status)
					if before != eap.DecisionMaySucceed { // EAP-TTLS allows servers that ask for nothing inside
						_, status, err = peer.Handle([]byte{byte(eap.CodeSuccess), packet[1], 0, 4})
						require.Equal(t, eap.StatusFailure, status, "step %d, %d of %d octets, then Success", step, n, len(packet))
						require.Error(t, err)
					}
				}
			}
			peer.Close()
			server.Close()
			if done || cut+1 >= len(cuts) {
				break
			}
		}
	}
}

// cutsOf are the lengths that a packet is cut to.
func cutsOf(packet []byte) (cuts []int) {
	for _, n := range []int{0, 1, 3, 4, 5, 6, 8, 10, 11, 15, len(packet) / 2, len(packet) - 1} {
		if n < len(packet) {
			cuts = append(cuts, n)
		}
	}
	return cuts
}
