package ike

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// The packet that asks for a CHILD_SA is named first, before what is configured, and
// once (RFC 7296 section 2.9). A gateway that narrows to it leaves just that.
func TestPacketFirst(t *testing.T) {
	packet := Trigger{Local: mustTS("192.168.0.100[tcp/40000]"), Remote: mustTS("10.1.0.9[tcp/443]")}
	for name, c := range map[string]struct {
		edit     func(*Config)
		tsi, tsr string
	}{
		"fits":       {nil, "192.168.0.100/32[tcp/40000] 192.168.0.100/32", "10.1.0.9/32[tcp/443] 10.1.0.0/16"},
		"virtual IP": {func(c *Config) { c.VirtualIPs.Wanted = []netip.Addr{any4} }, "0.0.0.0/0", "10.1.0.9/32[tcp/443] 10.1.0.0/16"},
		"elsewhere":  {func(c *Config) { c.Children[0].RemoteTS = []TrafficSelector{mustTS("10.2.0.0/16")} }, "192.168.0.100/32", "10.2.0.0/16"},
		"the same": {func(c *Config) { c.Children[0].RemoteTS = []TrafficSelector{packet.Remote} },
			"192.168.0.100/32[tcp/40000] 192.168.0.100/32", "10.1.0.9/32[tcp/443]"},
		"none": {func(c *Config) { c.Children[0].Trigger = nil }, "192.168.0.100/32", "10.1.0.0/16"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(cfg *Config, r *responder, _ *fakeEAP) {
				cfg.Children[0].Trigger = &packet
				if c.edit != nil {
					c.edit(cfg)
				}
			})
			n.start()
			_, child := n.established()
			require.Equal(t, c.tsi, selectors(n.r.tsi))
			require.Equal(t, c.tsr, selectors(n.r.tsr))
			require.Len(t, child.RemoteTS, 1, "the packet is part of the rest")
		})
	}
	n := newNetwork(t, func(cfg *Config, r *responder, _ *fakeEAP) {
		cfg.Children[0].Trigger = &packet
		r.editChild = func(ps []message.Payload) []message.Payload {
			ps[2].(*message.TSr).Selectors = []TrafficSelector{mustTS("10.1.0.0/24")}
			return ps
		}
	})
	n.start()
	_, child := n.established()
	require.Equal(t, "10.1.0.0/24", selectors(child.RemoteTS))
}

// It holds for the CHILD_SA that the packet asks for, not for those that follow.
func TestPacketFirstOnAnIKESA(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Children = append(a.Children, ChildConfig{Name: "more", LocalTS: a.Children[0].LocalTS, RemoteTS: []TrafficSelector{mustTS("10.2.0.0/16")}})
		b.Children[0].LocalTS = append(b.Children[0].LocalTS, mustTS("10.2.0.0/16"))
	})
	p.a.m.children.wanted = nil
	var seen []string
	offered := func(s *side, b []byte) {
		msg, err := p.b.m.sas.current.reqAsm.Handle(p.b.m.sas.current.prot, append([]byte(nil), b...))
		require.NoError(t, err)
		tsr, _ := message.First[*message.TSr](msg.Payloads)
		seen = append(seen, selectors(tsr.Selectors))
	}
	p.run(p.a, p.a.m.Initiate(p.now, "more", &Trigger{Local: mustTS("10.3.0.1[udp/1000]"), Remote: mustTS("10.2.0.9[udp/53]")}))
	offered(p.b, p.b.inbox[0])
	p.settle()
	require.Len(t, p.a.m.children.list, 2)
	require.Equal(t, "10.2.0.0/16", selectors(p.a.m.children.list[1].remoteTS))
	p.a.m.children.list[1].rekeyAt = p.now
	p.tick(p.a)
	offered(p.b, p.b.inbox[0])
	p.settle()
	require.Equal(t, []string{"10.2.0.9/32[udp/53] 10.2.0.0/16", "10.2.0.0/16"}, seen)
}
