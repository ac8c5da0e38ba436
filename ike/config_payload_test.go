package ike

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// configured sets up a connection that asks for virtual IPs and gets the given
// attributes.
func configured(t *testing.T, vips []netip.Addr, as ...message.CPAttribute) (*network, *ChildSA) {
	t.Helper()
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		c.VirtualIPs.Wanted = vips
		r.editChild = func(ps []message.Payload) []message.Payload {
			if len(as) == 0 {
				return ps
			}
			return append([]message.Payload{&message.CP{CPType: message.CPReply, Attributes: as}}, ps...)
		}
	})
	n.start()
	_, child := n.established()
	return n, child
}

var any4, any6 = netip.IPv4Unspecified(), netip.IPv6Unspecified()

func ip4(s string) message.CPAttribute {
	return message.CPAttribute{Type: message.InternalIP4Address, Value: netip.MustParseAddr(s).AsSlice()}
}

// Where the gateway assigns no virtual IP, the address that we have is protected,
// as in strongSwan.
func TestNoVirtualIPAssigned(t *testing.T) {
	for name, as := range map[string][]message.CPAttribute{
		"no CP":        nil,
		"empty":        {{Type: message.InternalIP4Address}},
		"unspecified":  {ip4("0.0.0.0")},
		"other family": {{Type: message.InternalIP6Address, Value: append(netip.MustParseAddr("fec3::1").AsSlice(), 64)}},
		"no prefix":    {{Type: message.InternalIP6Address, Value: netip.MustParseAddr("fec3::1").AsSlice()}},
		"DNS only":     {{Type: message.InternalIP4DNS, Value: []byte{10, 1, 0, 53}}},
	} {
		t.Run(name, func(t *testing.T) {
			n, child := configured(t, []netip.Addr{any4}, as...)
			require.Empty(t, child.Internal.Addresses)
			require.Equal(t, "192.168.0.100/32", selectors(child.LocalTS))
			require.Contains(t, n.log.String(), "[IKE] the gateway assigned no virtual IP, going on with 192.168.0.100\n")
			require.Equal(t, []netip.Prefix{host(clientAddr.Addr())}, n.m.children.addresses(), "of further CHILD_SAs")
		})
	}
	_, child := configured(t, []netip.Addr{any4, any6}, ip4("10.3.0.1"))
	require.Equal(t, "10.3.0.1/32", selectors(child.LocalTS), "one of two families is enough")
}

// DNS servers that are no host's address are ignored, and logged.
func TestUnusableNameServers(t *testing.T) {
	var as []message.CPAttribute
	bad := []string{"0.0.0.0", "127.0.0.53", "224.0.0.251", "255.255.255.255", "::", "::1", "ff02::fb", "::ffff:127.0.0.1"}
	for _, s := range append(bad, "10.1.0.53", "fec1::53") {
		a := netip.MustParseAddr(s)
		typ := message.InternalIP4DNS
		if a.Is6() {
			typ = message.InternalIP6DNS
		}
		as = append(as, message.CPAttribute{Type: typ, Value: a.AsSlice()})
	}
	n, child := configured(t, []netip.Addr{any4, any6}, append(as, ip4("10.3.0.1"))...)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.1.0.53"), netip.MustParseAddr("fec1::53")}, child.Internal.DNS)
	for _, s := range bad {
		require.Contains(t, n.log.String(), "[IKE] ignoring DNS server "+s+": that is no host's address\n")
	}
}

// A gateway that sends more than anybody needs fills no lists without end, and
// the log has a line a kind. What comes twice counts once.
func TestConfigurationWithoutEnd(t *testing.T) {
	for _, x := range []struct {
		kind string
		most int
		as   func(i byte) message.CPAttribute
		got  func(Internal) int
	}{
		{"virtual IPs", maxVirtualIPs, func(i byte) message.CPAttribute { return ip4(fmt.Sprintf("10.3.1.%d", i)) },
			func(in Internal) int { return len(in.Addresses) }},
		{"DNS servers", maxDNS, func(i byte) message.CPAttribute {
			return message.CPAttribute{Type: message.InternalIP4DNS, Value: []byte{10, 1, 0, i}}
		}, func(in Internal) int { return len(in.DNS) }},
		{"subnets", maxSubnets, func(i byte) message.CPAttribute {
			return message.CPAttribute{Type: message.InternalIP4Subnet, Value: []byte{10, i, 0, 0, 255, 255, 0, 0}}
		}, func(in Internal) int { return len(in.Subnets) }},
		{"DNS domains", maxDomains, func(i byte) message.CPAttribute {
			return message.CPAttribute{Type: message.InternalDNSDomain, Value: fmt.Appendf(nil, "d%d.example", i)}
		}, func(in Internal) int { return len(in.Domains) }},
	} {
		t.Run(x.kind, func(t *testing.T) {
			as := []message.CPAttribute{x.as(0), x.as(0)}
			for i := range x.most {
				as = append(as, x.as(byte(i)))
			}
			_, child := configured(t, []netip.Addr{any4}, as...)
			require.Equal(t, x.most, x.got(child.Internal))
			for i := range 20 {
				as = append(as, x.as(byte(x.most+i)))
			}
			n, child := configured(t, []netip.Addr{any4}, as...)
			require.Equal(t, x.most, x.got(child.Internal))
			line := fmt.Sprintf("[IKE] the gateway sent more than %d %s, ignoring the rest\n", x.most, x.kind)
			require.Equal(t, 1, strings.Count(n.log.String(), line), n.log.String())
		})
	}
}

// The virtual IPs of the last IKE_SA are asked for where any of their family would
// do; the gateway may assign others all the same.
func TestLastVirtualIPs(t *testing.T) {
	ips := func(list ...string) (as []netip.Addr) {
		for _, s := range list {
			as = append(as, netip.MustParseAddr(s))
		}
		return as
	}
	for _, c := range []struct{ vips, last, want, ts string }{
		{"0.0.0.0", "10.3.0.7", "10.3.0.7", "0.0.0.0/0"},
		{"0.0.0.0 ::", "fec3::7 10.3.0.7", "10.3.0.7 fec3::7", "0.0.0.0/0 ::/0"},
		{"0.0.0.0 0.0.0.0", "10.3.0.7 10.3.0.8 10.3.0.9", "10.3.0.7 10.3.0.8", "0.0.0.0/0"},
		{"::", "10.3.0.7", "::", "::/0"},
		{"10.3.0.5", "10.3.0.7", "10.3.0.5", "0.0.0.0/0"},
		{"10.3.0.5 0.0.0.0", "10.3.0.5", "10.3.0.5 0.0.0.0", "0.0.0.0/0"},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0/0"},
	} {
		granted := []message.CPAttribute{ip4("10.3.0.99")}
		var asked []netip.Addr
		n := newNetwork(t, func(cfg *Config, r *responder, _ *fakeEAP) {
			cfg.VirtualIPs.Wanted, cfg.VirtualIPs.Last = ips(strings.Fields(c.vips)...), ips(strings.Fields(c.last)...)
			r.editChild = func(ps []message.Payload) []message.Payload {
				require.Equal(t, c.ts, selectors(r.tsi), "the gateway is left to choose")
				for _, a := range r.cp.Attributes {
					switch {
					case a.Type == message.InternalIP4Address && len(a.Value) == 0:
						asked = append(asked, any4)
					case a.Type == message.InternalIP6Address && len(a.Value) == 0:
						asked = append(asked, any6)
					case a.Type == message.InternalIP4Address, a.Type == message.InternalIP6Address:
						x, _ := netip.AddrFromSlice(a.Value[:len(a.Value)&^1])
						asked = append(asked, x)
					}
				}
				return append([]message.Payload{&message.CP{CPType: message.CPReply, Attributes: granted}}, ps...)
			}
		})
		n.start()
		require.Equal(t, ips(strings.Fields(c.want)...), asked, c.vips)
		if c.vips != "::" {
			_, child := n.established()
			require.Equal(t, "10.3.0.99/32", selectors(child.LocalTS))
			require.Equal(t, "10.3.0.99/32", child.Internal.Addresses[0].String())
		}
	}
	cfg := testConfig(t)
	cfg.LocalRounds[0].EAP = &fakeEAP{}
	cfg.VirtualIPs.Last = []netip.Addr{{}}
	_, err := New(cfg)
	var bad *ConfigError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "VirtualIPs.Last", bad.Field)
}
