package esp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func TestSelectors(t *testing.T) {
	udp := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 3, 0, 1, 10, 1, 0, 9, 0x9c, 0x40, 0, 53, 0, 8, 0, 0}
	ping := append(append([]byte{0x60, 0, 0, 0, 0, 8, 58, 64, 0xfd}, make([]byte, 14)...), append([]byte{1, 0xfd}, append(make([]byte, 14), 2, 128, 0, 0, 0, 0, 1, 0, 1)...)...)
	fragment := append([]byte(nil), udp...)
	fragment[7] = 1
	for _, c := range []struct {
		packet        []byte
		local, remote string
	}{
		{udp, "10.3.0.1/32[udp/40000]", "10.1.0.9/32[udp/53]"},
		{fragment, "10.3.0.1/32[udp]", "10.1.0.9/32[udp]"},
		{ping, "fd00::1/128[ipv6-icmp/128]", "fd00::2/128[ipv6-icmp/128]"},
	} {
		local, remote, ok := Selectors(c.packet)
		require.True(t, ok)
		require.Equal(t, [2]string{c.local, c.remote}, [2]string{local.String(), remote.String()})
		require.True(t, Matches(c.packet, ranges(one(local)), ranges(one(remote))))
	}
	_, _, ok := Selectors(udp[:19])
	require.False(t, ok)
}

func one(s message.TrafficSelector) []message.TrafficSelector { return []message.TrafficSelector{s} }
