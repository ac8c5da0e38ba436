package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/transport/stream"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	// PortTCP is the usual port of a gateway for IKE and ESP over TCP (RFC 9329
	// section 2).
	PortTCP = ike.PortNATT

	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second // of what TCP does not take
	// silence is how long a request has no answer, and nothing else comes, before
	// the connection counts as broken.
	silence       = 8 * time.Second
	redialMin     = 100 * time.Millisecond
	redialMax     = 10 * time.Second
	maxRemembered = 16 // requests on a connection
	// initFirst is how long connections begin with an IKE_SA_INIT rather than with the
	// requests of other IKE_SAs.
	initFirst = 30 * time.Second
	// maxUnused is how many connections in a row the gateway ends before anything came
	// on them, until the IKE_SAs count as bound to the one that broke: pluto (libreswan
	// 5.4) never takes an IKE_SA to another TCP connection.
	maxUnused = 2
)

// ErrKernelESP is a data plane that has the kernel carry ESP, over TCP: this
// program carries it itself there.
var ErrKernelESP = errors.New("ESP over TCP is not carried by the kernel")

// DialError is a gateway that takes no TCP connection; Err wraps
// syscall.ECONNREFUSED where nobody listens.
type DialError struct {
	Remote netip.AddrPort
	Err    error
}

func (e *DialError) Error() string {
	if errors.Is(e.Err, syscall.ECONNREFUSED) {
		return fmt.Sprintf("connect to TCP port %d of %s: connection refused", e.Remote.Port(), e.Remote.Addr())
	}
	var timeout net.Error
	if errors.As(e.Err, &timeout) && timeout.Timeout() {
		return fmt.Sprintf("connect to TCP port %d of %s: no answer", e.Remote.Port(), e.Remote.Addr())
	}
	return fmt.Sprintf("connect to TCP port %d of %s: %v", e.Remote.Port(), e.Remote.Addr(), e.Err)
}

func (e *DialError) Unwrap() error { return e.Err }

// DialTCP connects to the gateway over TCP, which carries IKE and ESP then (RFC
// 9329); port 0 of Remote is PortTCP, and of the ports only Remote's counts. A
// connection that breaks is made again while Run runs: the IKE_SAs and CHILD_SAs
// stay. The error is a *DialError where the gateway does not take the connection.
func DialTCP(ctx context.Context, o Config) (*Conn, error) {
	if o.Remote.Port() == 0 {
		o.Remote = netip.AddrPortFrom(o.Remote.Addr(), PortTCP)
	}
	if o.Remote.Port() == ike.PortIKE {
		return nil, &ike.ConfigError{Field: "Remote", Problem: fmt.Sprintf("port %d is for IKE without ESP beside it, TCP needs another", ike.PortIKE)}
	}
	c, local, err := newConn(o)
	if err != nil {
		return nil, err
	}
	c.tcp = &tcpLink{c: c, remote: c.cfg.Remote, silence: silence}
	c.tcp.ctx, c.tcp.cancel = context.WithCancel(context.Background())
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	fd, err := c.tcp.connect(dialing, netip.AddrPortFrom(local, 0))
	if err != nil {
		c.tcp.cancel()
		return nil, err
	}
	c.wg.Add(1)
	go c.tcp.run(fd)
	c.followRouteUnlessBound()
	return c, nil
}

// TCP reports whether IKE and ESP go over TCP.
func (c *Conn) TCP() bool { return c.tcp != nil }

// tcpLink is the TCP connection to the gateway: the one that is there, and those
// that come after it.
type tcpLink struct {
	c       *Conn
	ctx     context.Context // ends with the Conn
	cancel  context.CancelFunc
	silence time.Duration

	mu       sync.Mutex // guards what follows, and writes
	fd       *net.TCPConn
	remote   netip.AddrPort
	at       netip.AddrPort // this end
	lastIn   time.Time      // when something came last
	requests []sentRequest  // that went out on this connection, oldest first
	newest   [][]byte       // packets of the newest request, sent or not
	begun    time.Time      // when newest became an IKE_SA_INIT; zero = it is another request
	buf      []byte
}

// sentRequest is a packet of an IKE request.
type sentRequest struct {
	data  []byte
	first time.Time
}

// connect makes a connection from local and begins it with the prefix and the newest
// request.
func (l *tcpLink) connect(ctx context.Context, local netip.AddrPort) (*net.TCPConn, error) {
	l.mu.Lock()
	remote := l.remote
	l.mu.Unlock()
	d := net.Dialer{Control: l.control, KeepAlive: 30 * time.Second}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	conn, err := d.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		return nil, &DialError{Remote: remote, Err: err}
	}
	fd := conn.(*net.TCPConn)
	// The prefix goes alone: libreswan reads exactly it first.
	_ = fd.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := fd.Write([]byte(stream.Prefix)); err != nil {
		fd.Close()
		return nil, &DialError{Remote: remote, Err: err}
	}
	// What is not sent when it is closed is lost for good, and the port is free.
	_ = fd.SetLinger(0)
	at := fd.LocalAddr().(*net.TCPAddr).AddrPort()
	if l.c.bypassed() {
		if err := bypass(fd, at.Addr().Unmap().Is4()); err != nil {
			log.Warnf(l.c.net, "exempt the IKE connection from IPsec policies: %v", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		fd.Close()
		return nil, errClosed
	}
	l.fd, l.at, l.lastIn = fd, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), time.Now()
	// IKE comes before ESP: gateways learn from it whose connection this is.
	for _, data := range l.newest {
		if l.write(func(b []byte) ([]byte, error) { return stream.AppendIKE(b, data) }) == nil {
			l.remember(data)
		}
	}
	return fd, nil
}

// control lets a connection begin from the port of the last one.
func (l *tcpLink) control(network, address string, rc syscall.RawConn) error {
	if err := rc.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }); err != nil {
		return err
	}
	if mark := control(l.c.cfg.Mark); mark != nil {
		return mark(network, address, rc)
	}
	return nil
}

// run reads the connection, and makes it again where it ends, until the Conn is
// closed.
func (l *tcpLink) run(fd *net.TCPConn) {
	defer l.c.wg.Done()
	wait, unused := redialMin, 0
	for fd != nil {
		begun := time.Now()
		heard, err := l.read(fd)
		if l.ctx.Err() != nil {
			return
		}
		if heard || errors.Is(err, net.ErrClosed) { // in use, or given up here
			unused = 0
		} else if unused++; unused == maxUnused {
			unused = 0
			l.c.renew("the gateway ends every new TCP connection")
		}
		log.Infof(l.c.net, "TCP connection to %s lost: %v", l.c.cfg.Remote, err)
		if time.Since(begun) > redialMax {
			wait = redialMin
		} else if !l.pause(wait) { // one that ends at once is not made again at once
			return
		} else {
			wait = min(wait*2, redialMax)
		}
		fd = l.reconnect()
	}
}

// pause waits; it returns false where the Conn was closed.
func (l *tcpLink) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// read takes packets off a connection until it ends, and reports whether there were
// any.
func (l *tcpLink) read(fd *net.TCPConn) (heard bool, err error) {
	rd, into, packets := stream.NewReader(fd), make([][]byte, 0, 64), make([][]byte, 0, 64)
	for {
		got, err := rd.Next(into)
		if err != nil {
			fd.Close()
			return heard, err
		}
		heard = true
		l.mu.Lock()
		l.lastIn = time.Now()
		remote, at := l.remote, l.at
		l.mu.Unlock()
		packets = packets[:0]
		for _, p := range got {
			switch kind, b := stream.Classify(p); kind {
			case stream.IKE:
				l.c.hear(len(p))
				l.c.dispatch(ike.Datagram{From: remote, To: at, Data: bytes.Clone(b)})
			case stream.ESP:
				packets = append(packets, b)
			}
		}
		l.c.esp.deliver(0, packets)
	}
}

// reconnect makes a new connection, from the same port where that is free, and
// repeats the last request on it (RFC 9329 section 6.1). It returns nil where the
// Conn was closed.
func (l *tcpLink) reconnect() *net.TCPConn {
	l.mu.Lock()
	before := l.at
	l.fd, l.requests = nil, nil
	l.mu.Unlock()
	var fd *net.TCPConn
	said := ""
	for wait := redialMin; ; wait = min(wait*2, redialMax) {
		var err error
		if fd, err = l.redial(before); err == nil {
			break
		}
		if s := err.Error(); s != said {
			said = s
			log.Infof(l.c.net, "%s; trying again", s)
		}
		if !l.pause(wait) {
			return nil
		}
	}
	l.mu.Lock()
	at, remote := l.at, l.remote
	l.mu.Unlock()
	log.Infof(l.c.net, "TCP connection made again from %s to %s", at, remote)
	l.c.reconnected(at != before)
	return fd
}

// redial connects from the local address and port of the last connection, else
// from another port, else from where the route leads.
func (l *tcpLink) redial(before netip.AddrPort) (*net.TCPConn, error) {
	local := before
	if o := l.c.cfg.Local.Unmap(); !o.IsValid() || o.IsUnspecified() {
		a, err := sourceAddr(l.c.cfg)
		if err != nil {
			return nil, err
		}
		if a != before.Addr() {
			local = netip.AddrPortFrom(a, 0)
		}
	}
	try := func(from netip.AddrPort) (*net.TCPConn, error) {
		ctx, cancel := context.WithTimeout(l.ctx, dialTimeout)
		defer cancel()
		return l.connect(ctx, from)
	}
	fd, err := try(local)
	if local.Port() != 0 && (errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		fd, err = try(netip.AddrPortFrom(local.Addr(), 0))
	}
	return fd, err
}

// send puts an IKE packet on the connection. A request that went out on it before
// is not repeated: TCP does that (RFC 9329 section 6.1). Without an answer for long
// the connection is given up for a new one.
func (l *tcpLink) send(p ike.Packet) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.To.Addr() != l.remote.Addr() { // another address of the gateway
		l.remote = netip.AddrPortFrom(p.To.Addr(), l.remote.Port())
		l.abandon()
	}
	request := isRequest(p.Data)
	if request {
		l.keep(p.Data, time.Now())
	}
	if l.fd != nil && request {
		if first, sent := l.remember(p.Data); sent {
			if now := time.Now(); now.Sub(first) >= l.silence && now.Sub(l.lastIn) >= l.silence {
				log.Infof(l.c.net, "no answer for %v, making a new TCP connection", now.Sub(first).Round(time.Second))
				l.abandon()
			}
			return nil
		}
	}
	return l.write(func(b []byte) ([]byte, error) { return stream.AppendIKE(b, p.Data) })
}

// abandon ends the connection, so that a new one is made. The caller holds mu.
func (l *tcpLink) abandon() {
	if l.fd != nil {
		l.fd.Close()
		l.fd = nil
	}
}

// remember records a packet of a request, and reports whether and when it went out
// on this connection. The caller holds mu.
func (l *tcpLink) remember(data []byte) (first time.Time, sent bool) {
	for _, r := range l.requests {
		if bytes.Equal(r.data, data) {
			return r.first, true
		}
	}
	if len(l.requests) == maxRemembered {
		l.requests = l.requests[1:]
	}
	l.requests = append(l.requests, sentRequest{bytes.Clone(data), time.Now()})
	return time.Time{}, false
}

// errNoConnection is a packet that comes while there is no connection.
var errNoConnection = errors.New("there is no TCP connection at the moment")

// write writes what fill appends. The caller holds mu.
func (l *tcpLink) write(fill func([]byte) ([]byte, error)) error {
	if l.fd == nil {
		return errNoConnection
	}
	b, err := fill(l.buf[:0])
	l.buf = b[:0]
	if len(b) == 0 {
		return err
	}
	_ = l.fd.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, werr := l.fd.Write(b); werr != nil {
		l.abandon() // perhaps in the midst of a packet
		return werr
	}
	return err
}

// sendESP puts ESP packets on the connection in one piece.
func (l *tcpLink) sendESP(packets ...[]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(func(b []byte) ([]byte, error) {
		var first error
		for _, p := range packets {
			var err error
			if b, err = stream.AppendESP(b, p); err != nil && first == nil {
				first = err
			}
		}
		return b, first
	})
}

// local is this end of the connection, or of the last one.
func (l *tcpLink) local() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// move has the connection made again, from where the route leads.
func (l *tcpLink) move() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abandon()
}

// bypass exempts the connection from the kernel's policies.
func (l *tcpLink) bypass() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd == nil {
		return nil // the next one will be
	}
	return bypass(l.fd, l.at.Addr().Is4())
}

func (l *tcpLink) close() error {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd == nil {
		return nil
	}
	_ = l.fd.SetLinger(-1) // what was written is still sent
	return l.fd.Close()
}

// isRequest reports whether an IKE message is a request.
func isRequest(b []byte) bool {
	h, err := message.ParseHeader(b)
	return err == nil && !h.IsResponse()
}

// keep makes a packet of a request one that the next connection begins with. The caller
// holds mu.
func (l *tcpLink) keep(data []byte, now time.Time) {
	h, err := message.ParseHeader(data)
	if err != nil {
		return
	}
	other := true
	if len(l.newest) > 0 {
		o, err := message.ParseHeader(l.newest[0])
		other = err != nil || o.SPIi != h.SPIi
	}
	if other && now.Sub(l.begun) < initFirst {
		return
	}
	l.newest = addPacket(l.newest, data)
	switch {
	case h.Exchange != message.IKESAInit:
		l.begun = time.Time{}
	case other:
		l.begun = now
	}
}

// addPacket adds a packet to those of a request, which it replaces where it is of
// another one: another SPI, another message ID, or no fragment (IKE_SA_INIT that
// begins again).
func addPacket(packets [][]byte, data []byte) [][]byte {
	h, err := message.ParseHeader(data)
	if err != nil {
		return packets
	}
	for _, p := range packets {
		if bytes.Equal(p, data) {
			return packets
		}
		if o, err := message.ParseHeader(p); err != nil || o.SPIi != h.SPIi || o.MessageID != h.MessageID || h.NextPayload != message.TypeSKF {
			return [][]byte{bytes.Clone(data)}
		}
	}
	return append(packets, bytes.Clone(data))
}
