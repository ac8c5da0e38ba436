package ike

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/ike/message"
)

func TestParseTrafficSelector(t *testing.T) {
	for in, out := range map[string]string{
		"10.1.0.0/16":              "10.1.0.0/16",
		"10.1.2.3/16":              "10.1.0.0/16",
		"10.1.0.7":                 "10.1.0.7/32",
		"10.0.0.1-10.0.0.9":        "10.0.0.1..10.0.0.9",
		"2001:db8::/32":            "2001:db8::/32",
		"10.1.0.0/16[tcp/80]":      "10.1.0.0/16[tcp/80]",
		"10.1.0.0/16[udp/53-54]":   "10.1.0.0/16[udp/53-54]",
		"10.1.0.0/16[udp]":         "10.1.0.0/16[udp]",
		"10.1.0.0/16[17/%any]":     "10.1.0.0/16[udp]",
		"10.1.0.0/16[tcp/%opaque]": "10.1.0.0/16[tcp/OPAQUE]",
	} {
		ts, err := ParseTrafficSelector(in)
		require.NoError(t, err, in)
		require.Equal(t, out, ts.String())
		require.False(t, IsDynamic(ts))
	}
	ts, err := ParseTrafficSelector("dynamic[tcp/80]")
	require.NoError(t, err)
	require.True(t, IsDynamic(ts))
	require.Equal(t, "10.3.0.1/32[tcp/80]", withAddr(ts, host(netip.MustParseAddr("10.3.0.1"))).String())
	ts, err = ParseTrafficSelector("dynamic")
	require.NoError(t, err)
	require.Equal(t, DynamicSelector, ts)
	for _, bad := range []string{"", "moon", "10.1.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.1[tcp", "10.0.0.1[foo]", "10.0.0.1[tcp/x]", "10.0.0.1[tcp/9-1]", "fe80::1%eth0"} {
		_, err := ParseTrafficSelector(bad)
		require.Error(t, err, bad)
	}
}

// What the gateway sends is never more than what was asked for.
func TestNarrowNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := func(name string) (ts []TrafficSelector) {
			for range rapid.IntRange(0, 4).Draw(t, name) {
				a := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "a")})
				b := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "b")})
				s := TrafficSelector{TSType: message.TSIPv4Range, Protocol: rapid.SampledFrom([]uint8{0, 6, 17}).Draw(t, "p"), Start: a, End: b,
					StartPort: rapid.SampledFrom([]uint16{0, 80}).Draw(t, "from"), EndPort: rapid.SampledFrom([]uint16{65535, 80}).Draw(t, "to")}
				if a.Compare(b) <= 0 {
					ts = append(ts, s)
				}
			}
			return ts
		}
		got, allowed := gen("got"), gen("allowed")
		for _, o := range narrow(got, allowed) {
			if !containsSelector(got, o) || !containsSelector(allowed, o) {
				t.Fatalf("%s is not inside of both %s and %s", o, selectors(got), selectors(allowed))
			}
		}
	})
}

// FuzzInit feeds the machine answers to IKE_SA_INIT, which nothing protects.
func FuzzInit(f *testing.F) {
	n := newNetwork(f, nil)
	out := n.m.Start(n.now)
	f.Add(n.r.handle(out.Packets[0])[0][28:], byte(33))
	f.Fuzz(func(t *testing.T, body []byte, next byte) {
		cfg := testConfig(t)
		cfg.LocalRounds[0].EAP = &fakeEAP{}
		m, err := New(cfg)
		require.NoError(t, err)
		now := time.Unix(0, 0)
		m.Start(now)
		h := message.Header{SPIi: m.spii, SPIr: 7, NextPayload: message.PayloadType(next), Exchange: message.IKESAInit,
			Flags: message.FlagResponse, Length: uint32(28 + len(body))}
		b, err := h.AppendBinary(nil)
		require.NoError(t, err)
		m.Handle(now, Datagram{From: gwAddr, Data: append(b, body...)})
		m.Tick(now.Add(time.Hour))
		m.Close()
	})
}

// FuzzAuthentic feeds the machine authentic messages with any content, as a
// hostile gateway would send them.
func FuzzAuthentic(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 3, 1, 0, 4}, byte(48), byte(35), uint8(1), true)
	f.Add([]byte{0, 0, 0, 8, 1, 0, 0, 0}, byte(42), byte(37), uint8(0), false)
	f.Fuzz(func(t *testing.T, body []byte, first, exchange byte, rounds uint8, response bool) {
		n := newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) { c.VirtualIPs = []netip.Addr{netip.IPv4Unspecified()} })
		left := int(rounds % 8)
		n.drop = func(toGateway bool, _ int, _ []byte) bool {
			if toGateway {
				return false
			}
			left--
			return left < 0
		}
		n.start()
		if n.r.prot == nil || n.m.prot == nil || n.m.Done() {
			return
		}
		h := message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.ExchangeType(exchange)}
		if response && n.m.pending != nil {
			h.Flags, h.MessageID = message.FlagResponse, n.m.pending.id
		}
		raw := &message.Raw{PayloadType: message.PayloadType(first), Body: body}
		b, err := n.r.prot.Seal(h, []message.Payload{raw})
		if err != nil {
			return
		}
		n.m.Handle(n.now, Datagram{From: n.m.Path().Remote, Data: b})
		n.m.Tick(n.now.Add(time.Hour))
	})
}
