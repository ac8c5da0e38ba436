package sadb

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/esp"
)

func add(t *testing.T, d *DB, spiIn uint32) error {
	t.Helper()
	child, _ := dataplanetest.Children("aes128gcm16", spiIn, spiIn+1, 1)
	sa, err := d.NewSA(child, 0, false)
	require.NoError(t, err)
	return d.Add(sa)
}

func TestLimits(t *testing.T) {
	d := New(Config{})
	require.Nil(t, d.Newest())
	for i := range uint32(maxSAs) {
		require.NoError(t, add(t, d, 0xc0000000+2*i))
	}
	require.ErrorContains(t, add(t, d, 0xc1000000), "64 are installed already")
	require.True(t, d.Remove(0xc0000000))
	require.False(t, d.Remove(0xc0000000))
	require.ErrorContains(t, add(t, d, 0xc0000002), "is in use")
	d.Close()
	require.ErrorIs(t, add(t, d, 0xc1000000), esp.ErrClosed)
	require.Nil(t, d.Sender(nil))
	child, _ := dataplanetest.Children("aes128gcm16", 1, 2, 1)
	_, err := d.NewSA(child, 0, false)
	require.ErrorContains(t, err, "are reserved")
	child.Keys = nil
	_, err = d.NewSA(child, 0, false)
	require.ErrorContains(t, err, "no keys")
}

// Early packets are few, of the newest, and soon of no use.
func TestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{})
		packet := func(spi byte, n int) []byte { return []byte{0xc0, 0, 0, spi, 0, 0, 0, byte(n)} }
		for n := range maxEarly + 3 {
			d.Open(packet(1, n))
		}
		d.Open(packet(2, 99))
		require.EqualValues(t, maxEarly+4, d.Stats().Unknown)
		got := d.TakeEarly(0xc0000001)
		require.Len(t, got, maxEarly-1)
		require.Equal(t, packet(1, 4), got[0], "the oldest ones made room")
		require.Empty(t, d.TakeEarly(0xc0000001))
		time.Sleep(earlyFor + time.Second)
		require.Empty(t, d.TakeEarly(0xc0000002))
	})
}

// The way of a packet allocates nothing: choice of the SA, sealing, opening.
func TestNoAllocations(t *testing.T) {
	alive := 0
	c, g := New(Config{}), New(Config{Authenticated: func() { alive++ }})
	a, b := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	for d, child := range map[*DB]*ike.ChildSA{c: a, g: b} {
		sa, err := d.NewSA(child, 0, false)
		require.NoError(t, err)
		require.NoError(t, d.Add(sa))
	}
	require.NoError(t, add(t, g, 0xc0000011))
	packet, err := esp.Echo{Src: netip.MustParseAddr("10.3.0.1"), Dst: netip.MustParseAddr("10.1.0.1"), Data: make([]byte, 1300)}.Append(nil)
	require.NoError(t, err)
	const headroom = 64
	buf := make([]byte, headroom+1500+headroom)
	n := testing.AllocsPerRun(200, func() {
		copy(buf[headroom:], packet)
		pkt, err := c.Sender(packet).SealInPlace(buf, headroom, len(packet))
		if err != nil {
			t.Fatal(err)
		}
		if inner, at := g.Open(pkt); len(inner) != len(packet) || &inner[0] != &pkt[at] {
			t.Fatal("not opened in place")
		}
	})
	require.Zero(t, n)
	require.GreaterOrEqual(t, alive, 200)
}
