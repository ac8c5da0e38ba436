package ike

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type sizedEAP struct {
	*fakeEAP
	octets int
}

func (s *sizedEAP) SetFragmentSize(octets int) { s.octets = octets }

// Without IKE fragmentation EAP packets have to fit a datagram.
func TestEAPLimitWithoutFragmentation(t *testing.T) {
	for _, noFrag := range []bool{false, true} {
		var sized *sizedEAP
		n := newNetwork(t, func(c *Config, r *responder, e *fakeEAP) {
			sized, r.noFrag = &sizedEAP{fakeEAP: e}, noFrag
			c.LocalRounds[0].EAP = sized
		})
		n.start()
		n.established()
		want := 0
		if noFrag {
			want = eapUnfragmented
		}
		require.Equal(t, want, sized.octets)
	}
}
