package tlsframe

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/internal/base/wire"
)

func TestPacket(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want Packet
	}{
		{[]byte{0x20}, Packet{Start: true}},
		{[]byte{0x21}, Packet{Start: true, Version: 1}},
		{[]byte{0xc0, 0, 0, 0, 9, 1, 2}, Packet{HasLength: true, Length: 9, More: true, Data: []byte{1, 2}}},
		{[]byte{0x41, 7}, Packet{More: true, Version: 1, Data: []byte{7}}},
		{[]byte{0x01}, Packet{Version: 1}},
	} {
		p, err := Parse(c.b)
		require.NoError(t, err)
		if len(p.Data) == 0 {
			p.Data = nil
		}
		require.Equal(t, c.want, p)
		b, err := p.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, c.b, b)
		for i := range c.b {
			_, _ = Parse(c.b[:i])
		}
	}
	for i := 1; i < 5; i++ {
		_, err := Parse([]byte{0x80, 0, 0, 0}[:i])
		require.ErrorIs(t, err, wire.ErrTruncated)
	}
	_, err := Parse([]byte{0x80, 0, 0, 0, 1, 1, 2})
	require.ErrorIs(t, err, wire.ErrLength)
}

// carry sends msg from a to b, which acknowledges, and returns what arrived and
// the number of packets.
func carry(t require.TestingT, a, b *Conn, msg []byte) ([]byte, int) {
	require.NoError(t, a.Send(msg))
	for n := 1; ; n++ {
		data := a.Next()
		require.LessOrEqual(t, len(data)+5, a.cfg.FragmentSize)
		ev, err := b.Receive(data)
		require.NoError(t, err)
		if ev == Message {
			require.False(t, a.Pending())
			return b.Message(), n
		}
		require.Equal(t, More, ev)
		require.True(t, a.Pending())
		ev, err = a.Receive(b.Ack())
		require.NoError(t, err)
		require.Equal(t, Ack, ev)
	}
}

func TestMessagesArriveWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		always := rapid.Bool().Draw(t, "length always")
		version := rapid.Uint8Range(0, 7).Draw(t, "version")
		cfg := Config{Version: version, CheckVersion: true, LengthAlways: always, FragmentSize: rapid.IntRange(MinFragment, 3000).Draw(t, "size")}
		a, b := New(cfg), New(cfg)
		for range 3 {
			msg := rapid.SliceOfN(rapid.Byte(), 1, 5000).Draw(t, "message")
			got, _ := carry(t, a, b, msg)
			require.Equal(t, msg, got)
			a, b = b, a
		}
	})
}

// The sizes of strongSwan: payload of a first packet is size - 10, of others
// size - 6.
func TestFragmentSizes(t *testing.T) {
	for _, c := range []struct{ octets, packets int }{{1014, 1}, {1015, 2}, {1014 + 1018, 2}, {1014 + 1018 + 1, 3}} {
		a, b := New(Config{LengthAlways: true}), New(Config{})
		_, n := carry(t, a, b, make([]byte, c.octets))
		require.Equal(t, c.packets, n, c.octets)
	}
	a := New(Config{})
	require.NoError(t, a.Send(make([]byte, 1018)))
	require.Len(t, a.Next(), 1019, "no length where nothing is fragmented")
	a = New(Config{Version: 1, FragmentSize: 100})
	require.NoError(t, a.Send(make([]byte, 200)))
	require.Equal(t, []byte{0xc1, 0, 0, 0, 200}, a.Next()[:5])
	require.Equal(t, []byte{0x41, 0}, a.Next()[:2])
	require.Equal(t, []byte{0x01, 0}, a.Next()[:2])
	require.Equal(t, []byte{0x01}, a.Next(), "then acknowledgements")
	require.Equal(t, []byte{0x21}, a.StartPacket())
}

func TestReceiveLimits(t *testing.T) {
	cfg := Config{Version: 1, CheckVersion: true, MaxMessage: 100, MaxPackets: 5}
	for name, c := range map[string]struct {
		packets [][]byte
		want    error
	}{
		"announced":           {[][]byte{{0xc1, 0, 0, 0, 101, 1}}, ErrTooLarge},
		"huge":                {[][]byte{{0xc1, 0xff, 0xff, 0xff, 0xff, 1}}, ErrTooLarge},
		"unannounced":         {[][]byte{append([]byte{0x41}, make([]byte, 60)...), append([]byte{0x41}, make([]byte, 41)...)}, ErrTooLarge},
		"more than announced": {[][]byte{{0xc1, 0, 0, 0, 3, 1, 2}, {0x01, 3, 4}}, ErrAnnounced},
		"version":             {[][]byte{{0x02, 1}}, ErrVersion},
		"start version":       {[][]byte{{0x20}}, ErrVersion},
		"packets":             {[][]byte{{1}, {1}, {1}, {1}, {1}, {1}}, ErrPackets},
		"length below data":   {[][]byte{{0x81, 0, 0, 0, 1, 1, 2}}, wire.ErrLength},
		"endless empty more":  {[][]byte{{0x41}, {0x41}, {0x41}, {0x41}, {0x41}, {0x41}}, ErrPackets},
	} {
		t.Run(name, func(t *testing.T) {
			conn := New(cfg)
			for i, b := range c.packets {
				_, err := conn.Receive(b)
				if i < len(c.packets)-1 {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.want)
				}
			}
		})
	}
	conn := New(Config{FragmentSize: 64})
	require.NoError(t, conn.Send(make([]byte, 100)))
	conn.Next()
	_, err := conn.Receive([]byte{0, 1})
	require.ErrorIs(t, err, ErrPending)
	require.ErrorIs(t, conn.Send([]byte{1}), ErrPending)
	ev, err := conn.Receive(nil)
	require.NoError(t, err)
	require.Equal(t, Ack, ev, "hostap: a packet without flags acknowledges")
	ev, err = New(cfg).Receive([]byte{0x22, 1})
	require.NoError(t, err)
	require.Equal(t, Start, ev, "a higher version at the start is answered with the own one")
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{0xc0, 0, 0, 0, 9, 1}, []byte{0, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := New(Config{MaxMessage: 1000})
		for _, d := range [][]byte{a, b, a} {
			if ev, err := c.Receive(d); err == nil && ev == Message && len(c.Message()) > 1000 {
				t.Fatal("over the limit")
			}
		}
		p, err := Parse(a)
		if err != nil || len(a) == 0 {
			return
		}
		out, err := p.AppendBinary(nil)
		if err != nil || !bytes.Equal(out[1:], a[1:]) {
			t.Fatalf("%x became %x, %v", a, out, err)
		}
	})
}
