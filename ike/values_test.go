package ike

import (
	gocrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/ike/message"
)

func TestMatchIdentity(t *testing.T) {
	for _, c := range []struct {
		want, id string
		ok       bool
	}{
		{"%any", "moon.strongswan.org", true},
		{"moon.strongswan.org", "MOON.strongswan.org", true},
		{"moon.strongswan.org", "sun.strongswan.org", false},
		{"*.strongswan.org", "moon.strongswan.org", true},
		{"*.strongswan.org", "strongswan.org", false},
		{"*@strongswan.org", "carol@strongswan.org", true},
		{"*@strongswan.org", "moon.strongswan.org", false},
		{"*@strongswan.org", "carol@strongswan.org.evil", false},
		{"192.168.0.1", "192.168.0.1", true},
		{"192.168.0.1", "192.168.0.2", false},
		{"C=CH, O=Linux strongSwan, CN=moon.strongswan.org", "C=CH, O=Linux strongSwan, CN=moon.strongswan.org", true},
		{"C=CH, O=Linux strongSwan, CN=*", "C=CH, O=Linux strongSwan, CN=moon.strongswan.org", true},
		{"C=CH, O=Linux strongSwan, CN=*", "C=DE, O=Linux strongSwan, CN=moon.strongswan.org", false},
		{"C=CH, O=Linux strongSwan, CN=*", "C=CH, CN=moon.strongswan.org", false},
	} {
		want, err := ParseIdentity(c.want)
		require.NoError(t, err)
		id, err := ParseIdentity(c.id)
		require.NoError(t, err)
		require.Equal(t, c.ok, MatchIdentity(want, id), "%s %s", c.want, c.id)
	}
	dn, _ := ParseIdentity("CN=*")
	require.True(t, IsPattern(dn))
	require.False(t, MatchIdentity(dn, Identity{IDType: message.IDDERDN, Data: []byte{0x30, 0x80}}))
}

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

func TestVerifySignature(t *testing.T) {
	octets := []byte("octets")
	sum := sha256.Sum256(octets)
	rk, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	digital := func(alg string, sig []byte) *message.Auth {
		id, err := hex.DecodeString(alg)
		require.NoError(t, err)
		return &message.Auth{Method: message.AuthDigitalSignature, Data: append(append([]byte{byte(len(id))}, id...), sig...)}
	}
	const rsa256 = "300d06092a864886f70d01010b0500"
	const pss256 = "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
	sig, err := rsa.SignPKCS1v15(rand.Reader, rk, gocrypto.SHA256, sum[:])
	require.NoError(t, err)
	require.NoError(t, verifySignature(&rk.PublicKey, digital(rsa256, sig), octets))
	require.Error(t, verifySignature(&rk.PublicKey, digital(rsa256, sig), []byte("other")))
	require.Error(t, verifySignature(&rk.PublicKey, digital("300d06092a864886f70d0101050500", sig), octets), "SHA-1")
	pss, err := rsa.SignPSS(rand.Reader, rk, gocrypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
	require.NoError(t, err)
	require.NoError(t, verifySignature(&rk.PublicKey, digital(pss256, pss), octets))
	one := sha1.Sum(octets)
	old, err := rsa.SignPKCS1v15(rand.Reader, rk, gocrypto.SHA1, one[:])
	require.NoError(t, err)
	require.NoError(t, verifySignature(&rk.PublicKey, &message.Auth{Method: message.AuthRSA, Data: old}, octets))

	ek, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	r, s, err := ecdsa.Sign(rand.Reader, ek, sum[:])
	require.NoError(t, err)
	raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	require.NoError(t, verifySignature(&ek.PublicKey, &message.Auth{Method: message.AuthECDSA256, Data: raw}, octets))
	require.Error(t, verifySignature(&ek.PublicKey, &message.Auth{Method: message.AuthECDSA384, Data: raw}, octets))
	require.Error(t, verifySignature(&rk.PublicKey, &message.Auth{Method: message.AuthECDSA256, Data: raw}, octets))
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.NoError(t, verifySignature(pub, digital("300506032b6570", ed25519.Sign(priv, octets)), octets))
	for _, data := range [][]byte{nil, {0}, {200, 1}, {5, 1, 2, 3, 4}} {
		require.Error(t, verifySignature(pub, &message.Auth{Method: message.AuthDigitalSignature, Data: data}, octets))
	}
	require.Error(t, verifySignature(pub, &message.Auth{Method: message.AuthSharedKey}, octets))
}

// FuzzInit feeds the machine answers to IKE_SA_INIT, which nothing protects.
func FuzzInit(f *testing.F) {
	n := newNetwork(f, nil)
	out := n.m.Start(n.now)
	f.Add(n.r.handle(out.Packets[0])[0][28:], byte(33))
	f.Fuzz(func(t *testing.T, body []byte, next byte) {
		cfg := testConfig(t)
		cfg.EAP = &fakeEAP{}
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
