package gateway

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	tick          = 100 * time.Millisecond
	maxDatagram   = 65535
	maxPacket     = 65535 // octets of a reassembled IKE message
	maxReports    = 1024  // clients remembered after they are gone
	linger        = 5 * time.Second
	ownRetransmit = time.Second
	ownTries      = 5
)

// nonESP marks IKE among ESP on the NAT-T port (RFC 3948 section 2.2).
var nonESP = []byte{0, 0, 0, 0}

// Gateway is a listening gateway. Serve runs it; Report and Close may be
// called from any goroutine.
type Gateway struct {
	cfg      Config
	conn     *net.UDPConn // nil of InMemory
	tcp      streams
	transmit func(to netip.AddrPort, datagram []byte) error
	local    netip.AddrPort
	ike, esp []message.Proposal
	secret   [32]byte // of cookies
	net      *slog.Logger
	enc      *slog.Logger
	log      *slog.Logger

	closing chan struct{}
	once    sync.Once
	serving sync.WaitGroup

	mu       sync.Mutex // guards all that follows
	clients  []*client  // in the order in which they appeared
	bySPI    map[message.SPI]*ikeSA
	byESP    map[uint32]*childSA
	asked    map[message.SPI]int // faults already committed, by initiator
	pool     *pool
	received int
	sent     int
	requests int
	replaced map[message.SPI]bool // IKE_SAs that an INITIAL_CONTACT ended, by the initiator's SPI
	closed   bool
}

// Listen opens the gateway's socket. The caller must Close it.
func Listen(cfg Config) (*Gateway, error) {
	g, err := newGateway(cfg)
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveUDPAddr("udp", g.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", g.cfg.Listen, err)
	}
	if g.conn, err = net.ListenUDP("udp", addr); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", g.cfg.Listen, err)
	}
	g.local = unmap(g.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	g.transmit = func(to netip.AddrPort, datagram []byte) error {
		if sent, err := g.tcp.transmit(to, datagram); sent {
			return err
		}
		if g.tcp.alone.Load() {
			return nil
		}
		_, err := g.conn.WriteToUDPAddrPort(datagram, to)
		return err
	}
	if err := g.tcp.listen(g.cfg.ListenTCP); err != nil {
		_ = g.conn.Close()
		return nil, err
	}
	return g, nil
}

func newGateway(cfg Config) (*Gateway, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, closing: make(chan struct{}), pool: newPool(cfg.Pool),
		bySPI: make(map[message.SPI]*ikeSA), byESP: make(map[uint32]*childSA), asked: make(map[message.SPI]int), replaced: make(map[message.SPI]bool),
		net: log.Group(cfg.Logger, log.NET), enc: log.Group(cfg.Logger, log.ENC), log: log.Group(cfg.Logger, log.IKE),
	}
	var err error
	if g.ike, err = crypto.ParseProposals(message.ProtocolIKE, cfg.IKEProposals); err != nil {
		return nil, fmt.Errorf("configure gateway: IKE proposals: %w", err)
	}
	if g.esp, err = crypto.ParseProposals(message.ProtocolESP, cfg.ESPProposals); err != nil {
		return nil, fmt.Errorf("configure gateway: ESP proposals: %w", err)
	}
	if _, err := io.ReadFull(cfg.Rand, g.secret[:]); err != nil {
		return nil, fmt.Errorf("draw cookie secret: %w", err)
	}
	return g, nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Addr returns the UDP address that clients send to.
func (g *Gateway) Addr() netip.AddrPort { return g.local }

// Serve answers clients until ctx ends or Close is called; nil then. It may
// run once.
func (g *Gateway) Serve(ctx context.Context) error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil
	}
	g.serving.Add(1)
	if g.tcp.listener != nil {
		g.serving.Add(1)
		go g.serveTCP()
	}
	g.mu.Unlock()
	defer g.serving.Done()
	stop := context.AfterFunc(ctx, func() {
		_ = g.conn.SetReadDeadline(time.Unix(1, 0))
		g.tcp.close()
	})
	defer stop()
	buf := make([]byte, maxDatagram)
	for {
		if ctx.Err() != nil {
			return nil
		}
		if err := g.conn.SetReadDeadline(time.Now().Add(tick)); err != nil && !g.isClosing() {
			return fmt.Errorf("receive datagram: %w", err)
		}
		n, from, err := g.conn.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil && g.tcp.alone.Load():
		case err == nil:
			g.handle(time.Now(), unmap(from), buf[:n])
		case g.isClosing():
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return fmt.Errorf("receive datagram: %w", err)
		}
		g.tick(time.Now())
	}
}

func (g *Gateway) isClosing() bool {
	select {
	case <-g.closing:
		return true
	default:
		return false
	}
}

// Close ends Serve and waits for it, frees every client and zeroes its keys.
// It may be called again.
func (g *Gateway) Close() error {
	var err error
	g.once.Do(func() {
		g.mu.Lock()
		g.closed = true
		g.mu.Unlock()
		close(g.closing)
		if g.conn != nil {
			err = g.conn.Close()
		}
		g.tcp.close()
		g.serving.Wait()
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, c := range g.clients {
			c.free()
		}
	})
	return err
}

// Report returns what the gateway saw so far.
func (g *Gateway) Report() Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := Report{Received: g.received, Sent: g.sent}
	for _, c := range g.clients {
		r.Clients = append(r.Clients, c.snapshot())
	}
	return r
}

// Delete deletes the IKE_SAs of all established clients, as an administrator
// would. It returns how many there are.
func (g *Gateway) Delete() int { return g.DeleteIKE(time.Now()) }

// DeleteIKE is Delete for a gateway without a socket.
func (g *Gateway) DeleteIKE(now time.Time) int {
	return g.eachClient(func(c *client) { c.deleteSA(now) })
}

// LimitAuth tells all established clients that their authentication holds for d
// from now on (AUTH_LIFETIME, RFC 4478). It returns how many there are.
func (g *Gateway) LimitAuth(now time.Time, d time.Duration) int {
	return g.eachClient(func(c *client) {
		c.request(now, &ownRequest{exchange: message.Informational, payloads: []message.Payload{
			&message.Notify{NotifyType: message.AuthLifetime, Data: binary.BigEndian.AppendUint32(nil, uint32(d/time.Second))}}})
	})
}

// eachClient calls do for every established client.
func (g *Gateway) eachClient(do func(*client)) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.clients {
		if c.report.State == Established && !c.freed {
			do(c)
			n++
		}
	}
	return n
}

// handle takes one datagram.
func (g *Gateway) handle(now time.Time, from netip.AddrPort, b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.received++
	f := &g.cfg.Faults
	if f.Silent || g.received <= f.DropIn {
		return
	}
	switch {
	case len(b) == 1 && b[0] == 0xff: // NAT keep-alive
	case len(b) > 4 && string(b[:4]) == string(nonESP):
		g.handleIKE(now, from, append([]byte(nil), b[4:]...))
	case len(b) > 8:
		if s := g.byESP[binary.BigEndian.Uint32(b)]; s != nil {
			s.client.handleESP(from, s, b)
		}
	}
}

func (g *Gateway) handleIKE(now time.Time, from netip.AddrPort, b []byte) {
	h, err := message.ParseHeader(b)
	if err != nil {
		if errors.Is(err, message.ErrMajorVersion) && !h.IsResponse() {
			g.answerPlain(from, h, &message.Notify{NotifyType: message.InvalidMajorVersion})
		}
		return
	}
	log.Infof(g.net, "received packet: from %s to %s (%d bytes)", bracket(from), bracket(g.local), len(b))
	if h.Exchange == message.IKESAInit && h.SPIr == 0 {
		if !h.IsResponse() && h.FromInitiator() && h.MessageID == 0 && h.SPIi != 0 {
			g.handleInit(now, from, b)
		}
		return
	}
	own := h.SPIr
	if !h.FromInitiator() {
		own = h.SPIi
	}
	s := g.bySPI[own]
	if s == nil || !s.owns(h) || s.client.freed {
		log.Infof(g.log, "received message for an unknown IKE_SA %s", own)
		return
	}
	s.handle(now, from, h, b)
}

func bracket(a netip.AddrPort) string { return fmt.Sprintf("%s[%d]", a.Addr(), a.Port()) }

// answerPlain sends an unprotected answer.
func (g *Gateway) answerPlain(to netip.AddrPort, h message.Header, ps ...message.Payload) []byte {
	m := message.Message{
		Header: message.Header{SPIi: h.SPIi, SPIr: h.SPIr, Exchange: h.Exchange, Flags: message.FlagResponse, MessageID: h.MessageID}, Payloads: ps,
	}
	b, err := m.AppendBinary(nil)
	if err != nil {
		log.Infof(g.log, "encode %s: %v", m.Header, err)
		return nil
	}
	log.Infof(g.enc, "generating %s", m.Summary())
	g.send(to, b)
	return b
}

// send sends IKE messages, behind the marker and through the faults.
func (g *Gateway) send(to netip.AddrPort, messages ...[]byte) {
	f := &g.cfg.Faults
	if f.Garbage {
		for _, junk := range [][]byte{{0, 0, 0, 0}, append(append([]byte(nil), nonESP...), make([]byte, 28)...), []byte("\x00\x00\x00\x00junk that is no IKE message at all")} {
			g.write(to, junk)
		}
	}
	for i := range messages {
		m := messages[i]
		if f.ReorderFragments {
			m = messages[len(messages)-1-i]
		}
		datagram := append(append(make([]byte, 0, 4+len(m)), nonESP...), m...)
		log.Infof(g.net, "sending packet: from %s to %s (%d bytes)", bracket(g.local), bracket(to), len(m))
		g.write(to, datagram)
		if f.Duplicate {
			g.write(to, datagram)
		}
	}
}

func (g *Gateway) write(to netip.AddrPort, datagram []byte) {
	g.sent++
	f := &g.cfg.Faults
	if g.sent <= f.DropOut || f.DropEvery > 0 && g.sent%f.DropEvery == 0 {
		return
	}
	if err := g.transmit(to, datagram); err != nil && !g.isClosing() {
		log.Infof(g.net, "error writing to socket: %v", err)
	}
}

// tick ends clients that are late and sends what is due.
func (g *Gateway) tick(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.clients {
		if !c.freed {
			c.tick(now)
		}
	}
	if n := len(g.clients) - maxReports; n > 0 && g.clients[0].freed {
		g.clients = append([]*client(nil), g.clients[1:]...)
	}
	if len(g.asked) > maxReports {
		clear(g.asked)
	}
	if len(g.replaced) > maxReports {
		clear(g.replaced)
	}
}

// active counts clients that hold state.
func (g *Gateway) active() (n int) {
	for _, c := range g.clients {
		if !c.freed {
			n++
		}
	}
	return n
}

func (g *Gateway) certificate() tls.Certificate {
	if g.cfg.Faults.Certificate != nil {
		return *g.cfg.Faults.Certificate
	}
	return g.cfg.Certificate
}
