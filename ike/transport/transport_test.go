package transport_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const serverName = "moon.strongswan.org"

// plain is a socket in place of a gateway.
func plain(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	fd, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	require.NoError(t, err)
	t.Cleanup(func() { fd.Close() })
	return fd
}

func addrOf(fd *net.UDPConn) netip.AddrPort { return fd.LocalAddr().(*net.UDPAddr).AddrPort() }

func open(t *testing.T, o transport.Config) *transport.Conn {
	t.Helper()
	c, err := transport.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestOpen(t *testing.T) {
	c := open(t, transport.Config{Remote: netip.MustParseAddrPort("127.0.0.1:0")})
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), c.Local().Addr())
	require.Equal(t, c.Local(), c.LocalNATT(), "one socket for both")
	var cfg ike.Config
	c.Configure(&cfg)
	require.EqualValues(t, ike.PortIKE, cfg.Remote.Port())

	free := open(t, transport.Config{Remote: netip.MustParseAddrPort("127.0.0.1:500"), PortNATT: 45123})
	require.EqualValues(t, 45123, free.LocalNATT().Port())
	require.NotEqual(t, free.Local(), free.LocalNATT())

	_, err := transport.Open(transport.Config{})
	var bad *ike.ConfigError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "Remote", bad.Field)
	_, err = transport.Open(transport.Config{Remote: netip.MustParseAddrPort("127.0.0.1:500"), PortNATT: 45123})
	require.ErrorContains(t, err, "port 45123 is in use")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	var bind *transport.BindError
	require.ErrorAs(t, err, &bind)
	require.EqualValues(t, 45123, bind.Local.Port())
}

func TestDemultiplexing(t *testing.T) {
	gw, stranger := plain(t, "127.0.0.1:0"), plain(t, "127.0.0.2:0")
	c := open(t, transport.Config{Remote: addrOf(gw)})
	got := make(chan []byte, 10)
	c.OnESP(func(packets ...[]byte) {
		for _, b := range packets {
			got <- bytes.Clone(b)
			clear(b)
		}
	})
	esp := []byte{0xc1, 2, 3, 4, 0, 0, 0, 1, 9}
	send := func(fd *net.UDPConn, b []byte) {
		_, err := fd.WriteToUDPAddrPort(b, c.LocalNATT())
		require.NoError(t, err)
	}
	send(stranger, esp)
	send(gw, []byte{0xff})
	send(gw, nil)
	send(gw, []byte{0, 0, 0, 0})
	send(gw, append(make([]byte, 4), make([]byte, 28)...)) // IKE, nobody runs
	for range 200 {                                        // more than the queue holds
		send(gw, append(make([]byte, 4), 1, 2, 3))
	}
	send(gw, esp)
	select {
	case b := <-got:
		require.Equal(t, esp, b)
	case <-time.After(5 * time.Second):
		t.Fatal("no ESP packet")
	}
	require.Empty(t, got, "the stranger's packet was dropped")
	require.Error(t, c.SendESP(esp), "no IKE_SA yet")
	c.OnESP(nil)
	send(gw, esp)
}

type deaf struct{}

func (deaf) Handle([]byte) ([]byte, ike.EAPStatus, error) { return nil, ike.EAPFailure, nil }
func (deaf) MSK() []byte                                  { return nil }

func config(t *testing.T) ike.Config {
	t.Helper()
	local, err := ike.ParseIdentity("carol@strongswan.org")
	require.NoError(t, err)
	remote, err := ike.ParseIdentity(serverName)
	require.NoError(t, err)
	ts, err := ike.ParseTrafficSelector("10.1.0.0/16")
	require.NoError(t, err)
	return ike.Config{Name: "home", LocalRounds: []ike.LocalRound{{ID: local, EAP: deaf{}}}, RemoteRounds: []ike.RemoteRound{{ID: remote}}, Children: []ike.ChildConfig{{RemoteTS: []ike.TrafficSelector{ts}}},
		VirtualIPs: ike.VirtualIPs{Wanted: []netip.Addr{netip.IPv4Unspecified()}}, ForceEncap: true}
}

func TestNoAnswer(t *testing.T) {
	gw := plain(t, "127.0.0.1:0")
	c := open(t, transport.Config{Remote: addrOf(gw)})
	cfg := config(t)
	cfg.Retransmission = ike.Retransmission{Timeout: 10 * time.Millisecond, Base: 1, Tries: 2}
	var events []ike.Event
	err := c.Run(context.Background(), cfg, func(e ike.Event) { events = append(events, e) })
	require.ErrorIs(t, err, ike.ErrNoAnswer)
	require.Len(t, events, 1)
	b := make([]byte, 2000)
	n, err := gw.Read(b)
	require.NoError(t, err)
	require.Equal(t, make([]byte, 4), b[:4], "another port than 500 means the non-ESP marker")
	require.EqualValues(t, n-4, int(b[4+26])<<8|int(b[4+27]))
}

func TestCancelled(t *testing.T) {
	gw := plain(t, "127.0.0.1:0")
	c := open(t, transport.Config{Remote: addrOf(gw)})
	cause := errors.New("the user pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	require.ErrorIs(t, c.Run(ctx, config(t), nil), cause)
	time.AfterFunc(20*time.Millisecond, c.Stop)
	require.NoError(t, c.Run(context.Background(), config(t), nil))
}

func TestClosedWhileRunning(t *testing.T) {
	gw := plain(t, "127.0.0.1:0")
	c := open(t, transport.Config{Remote: addrOf(gw)})
	time.AfterFunc(20*time.Millisecond, func() { _ = c.Close() })
	require.ErrorContains(t, c.Run(context.Background(), config(t), nil), "closed")
}

func TestBadConfig(t *testing.T) {
	gw := plain(t, "127.0.0.1:0")
	c := open(t, transport.Config{Remote: addrOf(gw)})
	cfg := config(t)
	cfg.LocalRounds[0].EAP = nil
	require.ErrorContains(t, c.Run(context.Background(), cfg, nil), "EAP")
}

// world is a reference gateway and a way to reach it.
type world struct {
	gw    *gateway.Gateway
	roots *x509.CertPool
}

func newWorld(t *testing.T, edit func(*gateway.Config)) *world {
	t.Helper()
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	cfg := gateway.Config{Identity: serverName, Certificate: cert, Users: map[string]string{"carol": "secret"}, Phase2: []string{gateway.MethodMD5}}
	if edit != nil {
		edit(&cfg)
	}
	w := &world{roots: x509.NewCertPool()}
	w.roots.AddCert(ca.Cert)
	w.gw, err = gateway.Listen(cfg)
	require.NoError(t, err)
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- w.gw.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, w.gw.Close())
		<-served
	})
	return w
}

func (w *world) peer(t *testing.T) *eap.Peer {
	p := eap.NewPeer(eap.Config{Identity: "carol", Methods: []eap.Offer{ttls.Offer(ttls.Config{
		TLS: eap.TLSConfig{Roots: w.roots, ServerName: serverName}, Inner: eap.Config{Identity: "carol", Methods: []eap.Offer{md5.Offer([]byte("secret"))}}})}})
	t.Cleanup(p.Close)
	return p
}

// relay forwards datagrams between a client and the gateway and shows them.
func relay(t *testing.T, to netip.AddrPort, see func(toGateway bool, b []byte)) netip.AddrPort {
	front, back := plain(t, "127.0.0.1:0"), plain(t, "127.0.0.1:0")
	var mu sync.Mutex
	var client netip.AddrPort
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		b := make([]byte, 65535)
		for {
			n, from, err := front.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			mu.Lock()
			client = from
			mu.Unlock()
			see(true, bytes.Clone(b[:n]))
			_, _ = back.WriteToUDPAddrPort(b[:n], to)
		}
	}()
	go func() {
		defer wg.Done()
		b := make([]byte, 65535)
		for {
			n, _, err := back.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			see(false, bytes.Clone(b[:n]))
			mu.Lock()
			c := client
			mu.Unlock()
			_, _ = front.WriteToUDPAddrPort(b[:n], c)
		}
	}()
	t.Cleanup(func() { front.Close(); back.Close(); wg.Wait() })
	return addrOf(front)
}

func TestConnectKeepAliveAndStop(t *testing.T) {
	w := newWorld(t, nil)
	alive, esp := make(chan struct{}, 100), make(chan []byte, 100)
	at := relay(t, w.gw.Addr(), func(up bool, b []byte) {
		switch {
		case up && bytes.Equal(b, []byte{0xff}):
			alive <- struct{}{}
		case up && len(b) > 4 && b[0] == 0x77:
			esp <- b
		}
	})
	c := open(t, transport.Config{Remote: at, KeepAlive: 20 * time.Millisecond})
	cfg := config(t)
	cfg.LocalRounds[0].EAP = w.peer(t)
	var closed bool
	require.NoError(t, c.Run(context.Background(), cfg, func(e ike.Event) {
		switch e := e.(type) {
		case ike.ChildEstablished:
			require.True(t, e.Child.Encap)
			require.NoError(t, c.SendESP([]byte{0x77, 1, 2, 3, 4, 5, 6, 7, 8}))
			c.Alive()
			go func() { <-esp; <-alive; <-alive; c.Stop() }()
		case ike.Closed:
			closed = !e.ByPeer
		}
	}))
	require.True(t, closed, "the gateway answered our DELETE")
}

// Connect opens the sockets, hands them to the events and closes them.
func TestConnect(t *testing.T) {
	w := newWorld(t, nil)
	cfg := config(t)
	cfg.LocalRounds[0].EAP = w.peer(t)
	var sock *transport.Conn
	require.NoError(t, transport.Connect(context.Background(), transport.Config{Remote: w.gw.Addr()}, cfg, func(c *transport.Conn, e ike.Event) {
		if _, ok := e.(ike.ChildEstablished); ok {
			sock = c
			c.Stop()
		}
	}))
	require.NotNil(t, sock, "the tunnel was set up")
	require.Error(t, sock.Rebind(netip.MustParseAddr("127.0.0.3")), "it is closed")
	require.Error(t, transport.Connect(context.Background(), transport.Config{}, cfg, nil))
}

func TestPeerCloses(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Faults.DeleteAfter = 50 * time.Millisecond })
	c := open(t, transport.Config{Remote: w.gw.Addr()})
	cfg := config(t)
	cfg.LocalRounds[0].EAP = w.peer(t)
	require.ErrorIs(t, c.Run(context.Background(), cfg, nil), ike.ErrPeerDeleted)
}

// slow never finishes an answer before it is let go.
type slow struct {
	*eap.Peer
	entered, release chan struct{}
}

func (s slow) Handle(b []byte) ([]byte, ike.EAPStatus, error) {
	close(s.entered)
	<-s.release
	return nil, ike.EAPFailure, errors.New("gone")
}

func TestCancelWhileEAPWorks(t *testing.T) {
	w := newWorld(t, nil)
	c := open(t, transport.Config{Remote: w.gw.Addr()})
	s := slow{w.peer(t), make(chan struct{}), make(chan struct{})}
	cfg := config(t)
	cfg.LocalRounds[0].EAP = s
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-s.entered
		cancel()
		time.Sleep(20 * time.Millisecond)
		close(s.release)
	}()
	require.ErrorIs(t, c.Run(ctx, cfg, nil), context.Canceled)
}
