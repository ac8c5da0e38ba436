package ike

import (
	gocrypto "crypto"
	"crypto/ed25519"
	"net/netip"
	"sync"
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
		h := message.Header{SPIi: m.sas.current.spii, SPIr: 7, NextPayload: message.PayloadType(next), Exchange: message.IKESAInit,
			Flags: message.FlagResponse, Length: uint32(28 + len(body))}
		b, err := h.AppendBinary(nil)
		require.NoError(t, err)
		m.Handle(now, Datagram{From: gwAddr, Data: append(b, body...)})
		m.Tick(now.Add(time.Hour))
		m.Close()
	})
}

var fuzzKey = sync.OnceValue(func() gocrypto.Signer {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return key
})

// FuzzAuthentic feeds the machine authentic messages with any content, as a
// hostile gateway would send them.
func FuzzAuthentic(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 3, 1, 0, 4}, byte(48), byte(35), uint8(1), true)
	f.Add([]byte{0, 0, 0, 8, 1, 0, 0, 0}, byte(42), byte(37), uint8(0), false)
	f.Add([]byte{0, 0, 0, 8, 2, 0, 0, 0}, byte(36), byte(35), uint8(8+1), true)
	f.Add([]byte{0, 0, 0, 8, 14, 0, 0, 0}, byte(39), byte(35), uint8(16+1), true)
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0x40, 0x15}, byte(41), byte(35), uint8(24+2), true)
	f.Fuzz(func(t *testing.T, body []byte, first, exchange byte, rounds uint8, response bool) {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			c.VirtualIPs.Wanted = []netip.Addr{netip.IPv4Unspecified()}
			psk := []byte("k")
			switch rounds >> 3 % 4 {
			case 1: // preshared keys and a PPK
				c.LocalRounds[0].PSK, c.Authentication.PPK = psk, &PPK{ID: []byte("ppk-id"), Key: psk}
				c.RemoteRounds[0].Method, c.RemoteRounds[0].PSK = RemotePSK, func(Identity) ([]byte, error) { return psk, nil }
				r.own, r.client, r.ppk = []gwRound{{psk: psk}}, []clientRound{{psk: psk}}, psk
			case 2: // a signature, then EAP
				key := fuzzKey()
				c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = RemotePubkey, &fakeVerifier{id: moon, keys: []gocrypto.PublicKey{key.Public()}}
				r.own = []gwRound{{key: key}}
			case 3: // several rounds
				c.LocalRounds = append([]LocalRound{{ID: c.LocalRounds[0].ID, PSK: psk}}, c.LocalRounds[0])
				c.LocalRounds[1].EAP = &fakeEAP{msk: testMSK}
				r.multi, r.client = true, []clientRound{{psk: psk}, {}}
			}
		})
		left := int(rounds % 8)
		n.drop = func(toGateway bool, _ int, _ []byte) bool {
			if toGateway {
				return false
			}
			left--
			return left < 0
		}
		n.start()
		if n.r.prot == nil || n.m.sas.current.prot == nil || n.m.Done() {
			return
		}
		h := message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.ExchangeType(exchange)}
		if response && n.m.sas.current.pending != nil {
			h.Flags, h.MessageID = message.FlagResponse, n.m.sas.current.pending.id
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
