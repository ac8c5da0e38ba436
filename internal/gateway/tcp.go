package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/transport/stream"
	"github.com/gotnc/gotnc/internal/base/log"
)

// streams is the TCP side of a gateway (RFC 9329). Its zero value has no listener.
type streams struct {
	listener *net.TCPListener
	mu       sync.Mutex
	conns    map[netip.AddrPort]*net.TCPConn // by the client's address
	accepted int
	alone    atomic.Bool // UDP is blocked
}

// BlockUDP has the gateway neither hear nor send UDP any more, or again, as a
// firewall on the way would.
func (g *Gateway) BlockUDP(blocked bool) { g.tcp.alone.Store(blocked) }

// streamWrite bounds the write of a packet: a client that takes none is dropped.
const streamWrite = 2 * time.Second

// listen opens the TCP socket; "" opens none.
func (s *streams) listen(addr string) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on TCP %s: %w", addr, err)
	}
	s.listener, s.conns = l.(*net.TCPListener), map[netip.AddrPort]*net.TCPConn{}
	return nil
}

// AddrTCP returns the TCP address that clients connect to; the zero value where
// Config.ListenTCP is "".
func (g *Gateway) AddrTCP() netip.AddrPort {
	if g.tcp.listener == nil {
		return netip.AddrPort{}
	}
	return unmap(g.tcp.listener.Addr().(*net.TCPAddr).AddrPort())
}

// DropTCP closes all TCP connections of clients, as a firewall would, and returns
// how many there were.
func (g *Gateway) DropTCP() int {
	g.tcp.mu.Lock()
	defer g.tcp.mu.Unlock()
	for _, c := range g.tcp.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	return len(g.tcp.conns)
}

// AcceptedTCP returns how many TCP connections were accepted so far.
func (g *Gateway) AcceptedTCP() int {
	g.tcp.mu.Lock()
	defer g.tcp.mu.Unlock()
	return g.tcp.accepted
}

// serveTCP accepts clients until the listener is closed.
func (g *Gateway) serveTCP() {
	defer g.serving.Done()
	for {
		c, err := g.tcp.listener.AcceptTCP()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				log.Infof(g.net, "accept: %v", err)
			}
			return
		}
		from := unmap(c.RemoteAddr().(*net.TCPAddr).AddrPort())
		g.tcp.mu.Lock()
		g.tcp.conns[from] = c
		g.tcp.accepted++
		g.tcp.mu.Unlock()
		if g.isClosing() {
			_ = c.Close()
		}
		g.serving.Add(1)
		go g.serveStream(c, from)
	}
}

// serveStream takes a client's packets off its connection.
func (g *Gateway) serveStream(c *net.TCPConn, from netip.AddrPort) {
	defer g.serving.Done()
	defer func() {
		_ = c.Close()
		g.tcp.mu.Lock()
		if g.tcp.conns[from] == c {
			delete(g.tcp.conns, from)
		}
		g.tcp.mu.Unlock()
	}()
	if err := stream.ReadPrefix(c); err != nil {
		log.Infof(g.net, "TCP connection from %s: %v", from, err)
		return
	}
	rd, into := stream.NewReader(c), make([][]byte, 0, 16)
	begun := !g.cfg.TCPBound
	for {
		packets, err := rd.Next(into)
		if err != nil {
			return
		}
		for _, p := range packets {
			if begun = begun || isInit(p); !begun {
				return
			}
			g.handle(time.Now(), from, p)
		}
	}
}

// isInit reports whether a packet of a stream is an IKE_SA_INIT request.
func isInit(packet []byte) bool {
	kind, b := stream.Classify(packet)
	if kind != stream.IKE {
		return false
	}
	h, err := message.ParseHeader(b)
	return err == nil && h.Exchange == message.IKESAInit && !h.IsResponse()
}

// transmit sends a datagram on the client's TCP connection, and reports whether it
// has one.
func (s *streams) transmit(to netip.AddrPort, datagram []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conns[to]
	if c == nil {
		return false, nil
	}
	b, err := stream.AppendESP(nil, datagram) // the marker is in it
	if err != nil {
		return true, err
	}
	_ = c.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err = c.Write(b); err != nil {
		_ = c.Close() // perhaps in the midst of a packet
	}
	return true, err
}

func (s *streams) close() {
	if s.listener == nil {
		return
	}
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
}
