package esp

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// ciphers returns two equal ciphers of a suite in strongSwan's grammar: one
// for the sender, one for the receiver.
func ciphers(t testing.TB, proposal string, fill byte) (a, b Cipher) {
	t.Helper()
	ps, err := crypto.ParseProposal(message.ProtocolESP, proposal)
	require.NoError(t, err)
	suite, err := crypto.SuiteOf(ps[0])
	require.NoError(t, err)
	prf, err := crypto.NewPRF(5)
	require.NoError(t, err)
	k, err := crypto.DeriveChild(prf, bytes.Repeat([]byte{fill}, 32), suite, nil, make([]byte, 32), make([]byte, 32))
	require.NoError(t, err)
	ca, err := crypto.NewPacketCipher(suite, k.Ei, k.Ai, nil)
	require.NoError(t, err)
	cb, err := crypto.NewPacketCipher(suite, k.Ei, k.Ai, nil)
	require.NoError(t, err)
	return ca, cb
}

var (
	homeNet = netip.MustParsePrefix("10.3.0.0/24")
	gwNet   = netip.MustParsePrefix("10.1.0.0/16")
	home6   = netip.MustParsePrefix("2001:db8:3::/64")
	gw6     = netip.MustParsePrefix("2001:db8:1::/64")
)

func selectors(ps ...netip.Prefix) (out []message.TrafficSelector) {
	for _, p := range ps {
		out = append(out, message.SelectorFromPrefix(p))
	}
	return out
}

// children returns the two ends of a CHILD_SA.
func children(t testing.TB, proposal string) (client, gateway Config) {
	co, gi := ciphers(t, proposal, 1)
	gout, ci := ciphers(t, proposal, 2)
	l, r := selectors(homeNet, home6), selectors(gwNet, gw6)
	client = Config{SPIIn: 0xc0000001, SPIOut: 0xc0000002, In: ci, Out: co, LocalTS: l, RemoteTS: r}
	gateway = Config{SPIIn: 0xc0000002, SPIOut: 0xc0000001, In: gi, Out: gout, LocalTS: r, RemoteTS: l}
	return client, gateway
}

func pair(t testing.TB, proposal string) (client, gateway *SA) {
	t.Helper()
	c, g := children(t, proposal)
	client, err := NewSA(c)
	require.NoError(t, err)
	gateway, err = NewSA(g)
	require.NoError(t, err)
	return client, gateway
}

func ping(t testing.TB, src, dst string, data int) []byte {
	t.Helper()
	p, err := Echo{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), ID: 7, Seq: 1, Data: bytes.Repeat([]byte{0xab}, data)}.Append(nil)
	require.NoError(t, err)
	return p
}

var suites = []string{"aes128gcm16", "aes256gcm16", "aes128-sha256", "aes256-sha512", "chacha20poly1305"}

func TestSealAndOpen(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			c, g := pair(t, suite)
			for n := range 40 {
				for _, p := range [][]byte{ping(t, "10.3.0.1", "10.1.0.1", n), ping(t, "2001:db8:3::1", "2001:db8:1::1", n)} {
					pkt, err := c.Seal([]byte("in front"), p)
					require.NoError(t, err)
					require.Equal(t, "in front", string(pkt[:8]))
					pkt = pkt[8:]
					require.Zero(t, (len(pkt)-c.Headroom()-c.icvOut)%4, "RFC 4303 section 2.4: 4-octet boundary")
					require.NotContains(t, string(pkt), string(p[20:]))
					inner, err := g.Open(pkt)
					require.NoError(t, err)
					require.Equal(t, p, inner)
				}
			}
			s := c.Stats()
			require.EqualValues(t, 80, s.OutPackets)
			require.EqualValues(t, 80, g.Stats().InPackets)
			require.Equal(t, s.OutBytes, g.Stats().InBytes)
			// the largest packet that MTU promises fits, and no octet more
			for _, outer := range []int{1500, 1499, 1498, 1497, 1281} {
				mtu := c.MTU(outer, false)
				pkt, err := c.Seal(nil, ping(t, "10.3.0.1", "10.1.0.1", mtu-28))
				require.NoError(t, err)
				require.LessOrEqual(t, len(pkt)+28, outer)
				pkt, err = c.Seal(nil, ping(t, "10.3.0.1", "10.1.0.1", mtu-27))
				require.NoError(t, err)
				require.Greater(t, len(pkt)+28, outer)
			}
		})
	}
}

func TestSequenceNumbers(t *testing.T) {
	c, g := pair(t, "aes128gcm16")
	p := ping(t, "10.3.0.1", "10.1.0.1", 8)
	for want := uint32(1); want < 4; want++ {
		pkt, err := c.Seal(nil, p)
		require.NoError(t, err)
		require.Equal(t, want, binary.BigEndian.Uint32(pkt[4:]))
		require.Equal(t, uint32(0xc0000002), binary.BigEndian.Uint32(pkt))
	}
	c.seq = math.MaxUint32 - 1
	pkt, err := c.Seal(nil, p)
	require.NoError(t, err)
	_, err = g.Open(pkt)
	require.NoError(t, err)
	_, err = c.Seal(nil, p)
	require.ErrorIs(t, err, ErrExhausted, "RFC 4303 section 3.3.3: the counter must not cycle")
}

func TestEveryChangeIsRefused(t *testing.T) {
	for _, suite := range []string{"aes128gcm16", "aes128-sha256"} {
		c, g := pair(t, suite)
		pkt, err := c.Seal(nil, ping(t, "10.3.0.1", "10.1.0.1", 5))
		require.NoError(t, err)
		for i := range pkt {
			bad := bytes.Clone(pkt)
			bad[i] ^= 1
			_, err := g.Open(bad)
			require.Error(t, err, "octet %d", i)
		}
		for n := range pkt {
			_, err := g.Open(bytes.Clone(pkt[:n]))
			require.Error(t, err, "%d octets", n)
		}
		_, err = g.Open(pkt)
		require.NoError(t, err)
		require.Zero(t, g.Stats().Refused)
	}
}

// Packets of a peer that knows the keys but not the rules.
func TestInnerRules(t *testing.T) {
	c, g := pair(t, "aes128gcm16")
	p := ping(t, "10.3.0.1", "10.1.0.1", 2) // 30 octets: fits without padding
	raw := func(payload []byte) error {
		pkt := make([]byte, c.Headroom(), 200)
		pkt = append(append(pkt, payload...), make([]byte, c.icvOut)...)
		c.seq++
		binary.BigEndian.PutUint32(pkt, c.spiOut)
		binary.BigEndian.PutUint32(pkt[4:], uint32(c.seq))
		require.NoError(t, c.out.Seal(pkt, 0))
		_, err := g.Open(pkt)
		return err
	}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	require.NoError(t, raw(cat(p, []byte{0, 4})))
	require.NoError(t, raw(cat(p, []byte{9, 9, 9, 9, 0, 4})), "RFC 4303 section 2.7: octets after the packet hide its length")
	require.NoError(t, raw(cat(p, []byte{1, 2, 3, 4, 4, 4})))
	require.ErrorIs(t, raw(cat(p, []byte{1, 2, 3, 5, 4, 4})), ErrMalformed, "padding that does not count up")
	require.ErrorIs(t, raw(cat(p, []byte{200, 4})), ErrMalformed)
	require.ErrorIs(t, raw(cat(p, []byte{0, 41})), ErrMalformed)
	require.ErrorIs(t, raw(cat(p, []byte{0, 6})), ErrMalformed)
	require.ErrorIs(t, raw([]byte{1, 1, 0, 59}), ErrDummy)
	require.ErrorIs(t, raw([]byte{0, 0, 0, 4}), ErrPacket)
	require.ErrorIs(t, raw(cat(p[:10], []byte{0, 4})), ErrPacket)
	require.Zero(t, g.Stats().Forged)
}

func TestClosedAndBadSAs(t *testing.T) {
	c, g := pair(t, "aes128gcm16")
	pkt, err := c.Seal(nil, ping(t, "10.3.0.1", "10.1.0.1", 1))
	require.NoError(t, err)
	c.Close()
	g.Close()
	g.Close()
	_, err = g.Open(pkt)
	require.ErrorIs(t, err, ErrClosed)
	_, err = c.Seal(nil, ping(t, "10.3.0.1", "10.1.0.1", 1))
	require.ErrorIs(t, err, ErrClosed)

	for _, edit := range []func(*Config){
		func(c *Config) { c.In = nil }, func(c *Config) { c.SPIIn = 255 }, func(c *Config) { c.SPIOut = 0 },
		func(c *Config) { c.LocalTS = nil }, func(c *Config) { c.RemoteTS = []message.TrafficSelector{{}} },
		func(c *Config) { c.RemoteTS[0].Start = netip.Addr{} }, func(c *Config) { c.RemoteTS[0].End = netip.MustParseAddr("::") },
	} {
		ch, _ := children(t, "aes128gcm16")
		edit(&ch)
		_, err := NewSA(ch)
		require.ErrorContains(t, err, "make ESP SA:")
	}
	_, err = c.SealInPlace(make([]byte, 40), 20, 20)
	require.ErrorContains(t, err, "too small")
}

func TestConcurrentUse(t *testing.T) {
	c, g := pair(t, "aes128gcm16")
	ch := make(chan []byte, 64)
	var senders, receivers sync.WaitGroup
	p := ping(t, "10.3.0.1", "10.1.0.1", 100)
	for range 4 {
		senders.Go(func() {
			for range 250 {
				pkt, err := c.Seal(nil, p)
				if err != nil {
					t.Error(err)
				}
				ch <- pkt
			}
		})
		receivers.Go(func() {
			for pkt := range ch {
				_, _ = g.Open(pkt)
			}
		})
	}
	senders.Wait()
	close(ch)
	receivers.Wait()
	require.EqualValues(t, 1000, g.Stats().InPackets+g.Stats().Replayed)
	require.Zero(t, g.Stats().Forged)
}

func FuzzOpen(f *testing.F) {
	c, _ := pair(f, "aes128gcm16")
	pkt, err := c.Seal(nil, ping(f, "10.3.0.1", "10.1.0.1", 5))
	require.NoError(f, err)
	f.Add(pkt)
	f.Add([]byte{0xc0, 0, 0, 2, 0, 0, 0, 1})
	_, g := pair(f, "aes128gcm16")
	_, h := pair(f, "aes128-sha256")
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = g.Open(bytes.Clone(b))
		_, _ = h.Open(b)
	})
}

func FuzzPacket(f *testing.F) {
	f.Add(ping(f, "10.3.0.1", "10.1.0.1", 5))
	f.Add(ping(f, "2001:db8:3::1", "2001:db8:1::1", 5))
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 16, 44, 64}, make([]byte, 48)...))
	c, g := pair(f, "aes128gcm16")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _, err := parseIP(b)
		if err == nil && (len(p) > len(b) || len(p) == 0) {
			t.Fatalf("%d of %d octets", len(p), len(b))
		}
		_, _ = ParseEcho(b)
		if pkt, err := c.Seal(nil, b); err == nil {
			inner, err := g.Open(pkt)
			if err != nil || !bytes.Equal(inner, p) {
				t.Fatalf("%x: %x, %v", p, inner, err)
			}
		}
	})
}

func BenchmarkSealOpen(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite, func(b *testing.B) {
			c, g := pair(b, suite)
			p := ping(b, "10.3.0.1", "10.1.0.1", 1372)
			buf := make([]byte, 64+1400+128)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				copy(buf[64:], p)
				pkt, err := c.SealInPlace(buf, 64, len(p))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := g.Open(pkt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
