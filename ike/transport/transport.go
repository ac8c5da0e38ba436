// Package transport carries IKE and ESP over sockets, in UDP (RFC 3948) or in TCP
// (RFC 9329), and drives an ike.Machine on them.
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/transport/batch"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Defaults and caps.
const (
	DefaultKeepAlive    = 20 * time.Second
	DefaultCloseTimeout = 3 * time.Second

	queueLen  = 64 // IKE datagrams that wait for the loop; more are dropped
	markerLen = 4  // non-ESP marker, RFC 3948 section 2.2
	// workGrace is how long Run waits for work that is being done when the
	// connection ends.
	workGrace = 5 * time.Second
)

// Config is where the sockets lead.
type Config struct {
	// Remote is the gateway; port 0 = 500.
	Remote netip.AddrPort
	// Local is our address; zero = the one that the route to Remote gives.
	Local netip.Addr
	// Port and PortNATT are the local ports for IKE and for NAT traversal
	// (charon.port, charon.port_nat_t); 0 = any free port. Where both are 0,
	// or Remote has another port than 500, one socket serves for both.
	Port, PortNATT uint16
	// Mark is the firewall mark of all datagrams (SO_MARK, needs
	// CAP_NET_ADMIN), which keeps them out of the tunnel's routes; 0 = none.
	Mark uint32
	// DSCP of IKE messages in UDP, 0 to 63. ESP has that of SendESPClass.
	DSCP uint8
	// KeepAlive is the interval of NAT keep-alives; 0 = 20 s, negative = none.
	KeepAlive time.Duration
	// CloseTimeout bounds the wait for the answer to our DELETE; 0 = 3 s.
	CloseTimeout time.Duration
	// Logger gets strongSwan's lines; nil = none.
	Logger *slog.Logger
}

// Conn is the sockets towards one gateway. Close it.
type Conn struct {
	cfg    Config
	net    *slog.Logger
	tcp    *tcpLink // nil = UDP, and then the sockets are
	socks  atomic.Pointer[socketPair]
	single bool // one socket serves for both ports

	mu    sync.Mutex
	loops []*loop // who runs; the newest last
	// kernel: the kernel takes ESP off the sockets; exempt: its policies are
	// not for them
	kernel, exempt bool
	noDF           bool // ClearDF was called

	esp espReceiver

	espTo    atomic.Pointer[netip.AddrPort] // where SendESP sends; nil before IKE_AUTH
	lastSent atomic.Int64                   // of UDP encapsulation, since base
	espSent  atomic.Int64                   // of ESP, since base
	aliveAt  atomic.Int64                   // since base
	base     time.Time
	counters counters

	stop    chan struct{}
	stopped sync.Once
	closed  chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
}

// Open binds the sockets and starts to read them.
func Open(o Config) (*Conn, error) {
	if o.Remote.Port() == 0 {
		o.Remote = netip.AddrPortFrom(o.Remote.Addr(), ike.PortIKE)
	}
	c, local, err := newConn(o)
	if err != nil {
		return nil, err
	}
	port := c.cfg.Remote.Port()
	c.single = o.Port == 0 && o.PortNATT == 0 || port != ike.PortIKE
	first := o.Port
	if port != ike.PortIKE {
		first = o.PortNATT
	}
	p, err := c.bind(local, first, o.PortNATT)
	if err != nil {
		return nil, err
	}
	c.start(p)
	c.followRouteUnlessBound()
	return c, nil
}

// newConn makes a Conn without sockets, and finds the address that they begin
// from.
func newConn(o Config) (c *Conn, local netip.Addr, err error) {
	if !o.Remote.IsValid() || o.Remote.Addr().IsUnspecified() {
		return nil, local, &ike.ConfigError{Field: "Remote", Problem: "no gateway address"}
	}
	o.Remote = netip.AddrPortFrom(o.Remote.Addr().Unmap(), o.Remote.Port())
	if o.KeepAlive == 0 {
		o.KeepAlive = DefaultKeepAlive
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = DefaultCloseTimeout
	}
	local = o.Local.Unmap()
	if !o.Local.IsValid() || o.Local.IsUnspecified() {
		if local, err = sourceAddr(o); err != nil {
			return nil, local, err
		}
	}
	return &Conn{
		cfg: o, net: log.Group(o.Logger, log.NET), base: time.Now(),
		stop: make(chan struct{}), closed: make(chan struct{}),
	}, local, nil
}

// followRouteUnlessBound follows the route, unless the local address is
// configured.
func (c *Conn) followRouteUnlessBound() {
	if !c.cfg.Local.IsValid() || c.cfg.Local.IsUnspecified() {
		c.wg.Add(1)
		go c.followRoute()
	}
}

func localOf(fd *net.UDPConn) netip.AddrPort {
	a := fd.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func control(mark uint32) func(string, string, syscall.RawConn) error {
	if mark == 0 {
		return nil
	}
	return func(_, _ string, rc syscall.RawConn) error {
		var serr error
		if err := rc.Control(func(fd uintptr) {
			serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
		}); err != nil {
			return err
		}
		if serr != nil {
			return fmt.Errorf("set mark %#x: %w (CAP_NET_ADMIN is needed)", mark, serr)
		}
		return nil
	}
}

// sourceAddr asks the routing table which address packets to the gateway
// leave from. Nothing is sent.
func sourceAddr(o Config) (netip.Addr, error) {
	d := net.Dialer{Control: control(o.Mark)}
	fd, err := d.Dial("udp", o.Remote.String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a route to %s: %w", o.Remote.Addr(), err)
	}
	defer fd.Close()
	return fd.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
}

// BindError is a local address that cannot be bound; Err wraps syscall.EADDRINUSE
// where another socket has it, and syscall.EACCES where it needs privileges.
type BindError struct {
	Local netip.AddrPort
	Err   error
}

func (e *BindError) Error() string {
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		return fmt.Sprintf("bind IKE socket: port %d is in use", e.Local.Port())
	}
	return "bind IKE socket: " + e.Err.Error()
}

func (e *BindError) Unwrap() error { return e.Err }

// setClass sets the traffic class that a socket sends with.
func setClass(fd *net.UDPConn, class uint8, is6 bool) error {
	if class == 0 {
		return nil
	}
	rc, err := fd.SyscallConn()
	if err != nil {
		return err
	}
	level, option := unix.IPPROTO_IP, unix.IP_TOS
	if is6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	var serr error
	if err := rc.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), level, option, int(class)) }); err != nil {
		return err
	}
	if serr != nil {
		return fmt.Errorf("set DSCP %d of IKE packets: %w", class>>2, serr)
	}
	return nil
}

func listen(o Config, at netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: control(o.Mark)}
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	pc, err := lc.ListenPacket(context.Background(), network, at.String())
	if err != nil {
		return nil, &BindError{Local: at, Err: err}
	}
	if err := setClass(pc.(*net.UDPConn), o.DSCP<<2, at.Addr().Is6()); err != nil {
		_ = pc.Close()
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// Local is the address that IKE_SA_INIT leaves from.
func (c *Conn) Local() netip.AddrPort {
	if c.tcp != nil {
		return c.tcp.local()
	}
	return c.sockets().ikeAt
}

// LocalNATT is the address that everything leaves from once NAT traversal is
// in use.
func (c *Conn) LocalNATT() netip.AddrPort {
	if c.tcp != nil {
		return c.tcp.local()
	}
	return c.sockets().nattAt
}

// Configure fills the addresses of cfg in: Local, LocalNATT, Remote.
func (c *Conn) Configure(cfg *ike.Config) {
	cfg.Local, cfg.LocalNATT, cfg.Remote = c.Local(), c.LocalNATT(), c.cfg.Remote
}

// Close closes the sockets and waits for their readers. Run, if it runs,
// returns an error.
func (c *Conn) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		c.mu.Lock() // no rebinding meanwhile
		if c.tcp != nil {
			err = c.tcp.close()
		} else {
			err = c.sockets().close()
		}
		c.mu.Unlock()
		c.wg.Wait()
	})
	return err
}

// Alive notes that an ESP packet of the gateway authenticated; it puts DPD
// off. Safe for concurrent use.
func (c *Conn) Alive() { c.aliveAt.Store(int64(time.Since(c.base))) }

// Sent notes that the kernel sent ESP packets to the gateway.
func (c *Conn) Sent() { c.espSent.Store(int64(time.Since(c.base))) }

// read takes datagrams apart until the socket is closed. From port 500 comes
// plain IKE; from any other port ESP, IKE behind the non-ESP marker, or NAT
// keep-alives (RFC 3948 section 2).
func (c *Conn) read(fd *net.UDPConn, at netip.AddrPort) {
	defer c.wg.Done()
	rx, err := batch.NewReader(fd)
	if err != nil {
		c.net.Warn("receive: " + err.Error())
		return
	}
	packets := make([][]byte, 0, batch.MaxSegments)
	datagrams := make([][]byte, 0, batch.MaxSegments)
	for {
		n, err := rx.Read()
		if err != nil {
			select {
			case <-c.closed:
				return
			default:
			}
			if batch.IsClosed(err) {
				return
			}
			// An ICMP error that the kernel reports here says nothing that
			// could be trusted.
			c.net.Debug("receive: " + err.Error())
			time.Sleep(10 * time.Millisecond)
			continue
		}
		packets = packets[:0]
		var class byte // of what is in packets
		for i := range n {
			b, size, of, from := rx.Message(i)
			if of != class {
				c.esp.deliver(class, packets)
				packets, class = packets[:0], of
			}
			from = netip.AddrPortFrom(from.Addr().WithZone(""), from.Port())
			datagrams = batch.Segments(datagrams[:0], b, size)
			for _, b := range datagrams {
				if c.classify(b, from, at) {
					packets = append(packets, b)
				}
			}
		}
		c.esp.deliver(class, packets)
	}
}

// classify sorts one datagram, and reports whether it is an ESP packet.
func (c *Conn) classify(b []byte, from, at netip.AddrPort) (isESP bool) {
	if from.Addr() != c.cfg.Remote.Addr().WithZone("") && !c.roamedTo(from.Addr()) {
		return false
	}
	n := len(b)
	if from.Port() != ike.PortIKE {
		switch {
		case n <= markerLen: // keep-alive, or too short for anything
			return false
		case b[0]|b[1]|b[2]|b[3] != 0:
			return true
		}
		b = b[markerLen:]
	}
	c.hear(n)
	c.dispatch(ike.Datagram{From: from, To: at, Data: append([]byte(nil), b...)})
	return false
}

// dispatch hands an IKE message to all Machines.
func (c *Conn) dispatch(d ike.Datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.loops {
		select {
		case l.in <- d:
		default: // a flood; the gateway's retransmission or ours repairs it
		}
	}
}

// roamedTo reports whether a is where the gateway moved to.
func (c *Conn) roamedTo(a netip.Addr) bool {
	to := c.espTo.Load()
	return to != nil && to.Addr() == a
}

// send puts a packet of the Machine on the wire. A failure is logged: the
// retransmission tries again.
func (c *Conn) send(p ike.Packet) {
	if c.tcp != nil {
		if err := c.tcp.send(p); err != nil {
			log.Warnf(c.net, "error writing to the TCP connection: %v", err)
			return
		}
		c.counters.sent.Add(int64(markerLen + len(p.Data)))
		return
	}
	socks := c.sockets()
	fd := socks.ike
	if p.Marker {
		fd = socks.natt
	}
	b := p.Data
	if p.Marker {
		b = append(make([]byte, markerLen, markerLen+len(b)), b...)
	}
	if _, err := fd.WriteToUDPAddrPort(b, p.To); err != nil {
		log.Warnf(c.net, "error writing to socket: %v", err)
		return
	}
	c.counters.sent.Add(int64(len(b)))
	if p.Marker {
		c.lastSent.Store(int64(time.Since(c.base)))
	}
}
