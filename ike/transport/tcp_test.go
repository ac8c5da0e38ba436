package transport_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/ike/transport/stream"
	"github.com/gotnc/gotnc/internal/gateway"
)

// overTCP is a gateway that listens on TCP too.
func overTCP(t *testing.T) *world {
	t.Helper()
	return newWorld(t, func(c *gateway.Config) { c.ListenTCP = "127.0.0.1:0" })
}

func dial(t *testing.T, to netip.AddrPort) *transport.Conn {
	t.Helper()
	c, err := transport.DialTCP(context.Background(), transport.Config{Remote: to})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// A connection and ESP in both directions over TCP, with UDP blocked.
func TestTCP(t *testing.T) {
	w := overTCP(t)
	w.gw.BlockUDP(true)
	c := dial(t, w.gw.AddrTCP())
	require.True(t, c.TCP())
	cfg := config(t)
	cfg.LocalRounds[0].EAP = w.peer(t)
	require.NoError(t, c.Run(context.Background(), cfg, func(e ike.Event) {
		if e, ok := e.(ike.ChildEstablished); ok {
			require.True(t, e.Child.Encap)
			require.NoError(t, c.SendESP([]byte{0x77, 1, 2, 3, 4, 5, 6, 7, 8}, []byte{0x78, 1, 2}))
			c.Stop()
		}
	}))
	require.Equal(t, 1, w.gw.AcceptedTCP())
	require.ErrorIs(t, c.KernelESP(), transport.ErrKernelESP)
	require.NoError(t, c.Close())
}

// The connection is lost under an IKE_SA that is up, again and again: it is made
// again, from the same port, and the IKE_SA stays.
func TestTCPConnectionIsMadeAgain(t *testing.T) {
	w := overTCP(t)
	c := dial(t, w.gw.AddrTCP())
	local := c.Local()
	cfg := config(t)
	cfg.LocalRounds[0].EAP = w.peer(t)
	up, rekeyed := make(chan struct{}), make(chan struct{}, 10)
	var handle atomic.Pointer[transport.Handle]
	ended := make(chan error, 1)
	established := 0
	go func() {
		ended <- c.RunWith(context.Background(), cfg, func(e ike.Event) {
			switch e.(type) {
			case ike.Established:
				established++
			case ike.ChildEstablished:
				close(up)
			case ike.Rekeyed:
				rekeyed <- struct{}{}
			}
		}, func(h *transport.Handle) { handle.Store(h) })
	}()
	<-up
	for n := 1; n <= 3; n++ {
		exchanges := c.Stats().Exchanges
		require.Equal(t, 1, w.gw.DropTCP())
		require.Eventually(t, func() bool { return w.gw.AcceptedTCP() == n+1 }, 10*time.Second, 5*time.Millisecond)
		require.Eventually(t, func() bool { return c.Local().IsValid() }, time.Second, time.Millisecond)
		require.Eventually(t, func() bool { return c.Stats().Exchanges > exchanges }, 10*time.Second, 5*time.Millisecond, "a sign of life on the new connection")
	}
	require.Equal(t, local, c.Local(), "the same port")
	c.Stop()
	require.NoError(t, <-ended)
	require.Equal(t, 1, established)
}

// A request whose connection breaks before the answer goes out on the next one at
// once, long before its retransmission is due; on one connection it goes out once.
func TestTCPRequestIsRepeatedOnTheNextConnection(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := dial(t, l.Addr().(*net.TCPAddr).AddrPort())
	cfg := config(t)
	cfg.Retransmission = ike.Retransmission{Timeout: 100 * time.Millisecond, Base: 1, Tries: 20}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background(), cfg, nil) }()
	read := func(s net.Conn) []byte {
		require.NoError(t, stream.ReadPrefix(s))
		packets, err := stream.NewReader(s).Next(make([][]byte, 0, 4))
		require.NoError(t, err)
		require.Len(t, packets, 1)
		kind, m := stream.Classify(packets[0])
		require.Equal(t, stream.IKE, kind)
		return m
	}
	first, err := l.Accept()
	require.NoError(t, err)
	request := read(first)
	require.NoError(t, first.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	n, err := io.ReadFull(first, make([]byte, 1))
	require.Zero(t, n, "nothing is repeated on a connection that stands")
	require.Error(t, err)
	first.Close()
	second, err := l.Accept()
	require.NoError(t, err)
	defer second.Close()
	require.Equal(t, request, read(second))
	c.Stop()
	<-ended
}

func TestTCPRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	_, err = transport.DialTCP(context.Background(), transport.Config{Remote: at})
	var de *transport.DialError
	require.ErrorAs(t, err, &de)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Regexp(t, `^connect to TCP port \d+ of 127.0.0.1: connection refused$`, err.Error())
	_, err = transport.DialTCP(context.Background(), transport.Config{Remote: netip.MustParseAddrPort("127.0.0.1:500")})
	var bad *ike.ConfigError
	require.ErrorAs(t, err, &bad)
	_, err = transport.DialTCP(context.Background(), transport.Config{})
	require.ErrorAs(t, err, &bad)
}

// What is no stream of IKE and ESP ends the connection, and it is made again.
func TestTCPGarbage(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := dial(t, l.Addr().(*net.TCPAddr).AddrPort())
	for range 3 {
		s, err := l.Accept()
		require.NoError(t, err)
		_, err = s.Write([]byte{0, 1, 0xff})
		require.NoError(t, err)
		defer s.Close()
	}
	require.NoError(t, c.Close())
}

// The gateway answers INVALID_KE_PAYLOAD and closes the connection, as libreswan
// does: the next one begins with the new request, not with the refused one.
func TestTCPBeginsWithTheNewestRequest(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := dial(t, l.Addr().(*net.TCPAddr).AddrPort())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background(), config(t), nil) }()
	next := func() (net.Conn, *message.Message) {
		s, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, s.SetDeadline(time.Now().Add(10*time.Second)))
		require.NoError(t, stream.ReadPrefix(s))
		packets, err := stream.NewReader(s).Next(make([][]byte, 0, 4))
		require.NoError(t, err)
		_, b := stream.Classify(packets[0])
		m, err := message.Parse(b)
		require.NoError(t, err)
		return s, m
	}
	s, m := next()
	ke, _ := message.First[*message.KE](m.Payloads)
	require.NotEqual(t, message.KEMODP2048, ke.Method)
	b, err := (&message.Message{Header: message.Header{SPIi: m.SPIi, Exchange: message.IKESAInit, Flags: message.FlagResponse},
		Payloads: []message.Payload{&message.Notify{NotifyType: message.InvalidKEPayload, Data: []byte{0, 14}}}}).AppendBinary(nil)
	require.NoError(t, err)
	b, err = stream.AppendIKE(nil, b)
	require.NoError(t, err)
	_, err = s.Write(b)
	require.NoError(t, err)
	s.Close()
	s, m = next()
	defer s.Close()
	ke, _ = message.First[*message.KE](m.Payloads)
	require.Equal(t, message.KEMODP2048, ke.Method)
	c.Stop()
	<-ended
}
