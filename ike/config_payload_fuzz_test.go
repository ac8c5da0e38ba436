package ike

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// FuzzConfigReply: whatever a gateway assigns stays within the caps, and is usable.
func FuzzConfigReply(f *testing.F) {
	f.Add([]byte{1, 4, 10, 3, 0, 1, 3, 4, 10, 1, 0, 53})
	f.Add([]byte{8, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1, 128, 1, 4, 255, 255, 255, 255, 25, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		cp := &message.CP{CPType: message.CPReply}
		for len(b) > 2 {
			n := min(int(b[1]), len(b)-2)
			cp.Attributes = append(cp.Attributes, message.CPAttribute{Type: message.CPAttributeType(b[0]), Value: b[2 : 2+n]})
			b = b[2+n:]
		}
		set := &childSet{core: &core{ike: slog.New(slog.DiscardHandler), cfg: Config{VirtualIPs: VirtualIPs{Wanted: []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}}}}}
		in, err := set.configReply(&message.Message{Payloads: []message.Payload{cp}})
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(in.Addresses), maxVirtualIPs)
		require.LessOrEqual(t, len(in.DNS), maxDNS)
		require.LessOrEqual(t, len(in.Subnets), maxSubnets)
		require.LessOrEqual(t, len(in.Domains), maxDomains)
		for _, a := range in.Addresses {
			x := a.Addr()
			require.False(t, x.IsLoopback() || x.IsMulticast() || x.IsUnspecified() || x.Is4In6() || x == broadcast4, "%s", x)
		}
	})
}
