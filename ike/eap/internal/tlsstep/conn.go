// Package tlsstep runs TLS in lock-step, for EAP: octets of one flight in,
// octets of the answer out. crypto/tls blocks, so it runs in one goroutine
// over an in-memory connection whose Read says "idle" when its input is empty.
// It is the only machine of this module with a goroutine inside.
package tlsstep

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// appMax limits application data that is received and not yet taken.
	appMax = 1 << 20

	readBuffer = 16384 // one TLS record
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("TLS connection is closed")
	// ErrPeerClosed is returned as the peer has sent close_notify.
	ErrPeerClosed = errors.New("peer closed the TLS connection")

	errAppData   = errors.New("too much application data")
	errHandshake = errors.New("TLS handshake is not complete")
)

// SignError is the error of a private key of ours that did not sign: crypto/tls keeps
// its text alone.
type SignError struct{ Err error }

func (e *SignError) Error() string { return fmt.Sprintf("sign the TLS handshake: %v", e.Err) }
func (e *SignError) Unwrap() error { return e.Err }

// Conn is one TLS connection, either side. Its methods belong to one
// goroutine. Close it.
type Conn struct {
	tls    *tls.Conn
	mem    *memConn
	client bool
	keys   keySniffer

	started bool
	done    chan struct{} // closed as the TLS goroutine ends
	closed  bool

	mu       sync.Mutex // guards what the goroutine writes
	app      []byte
	complete bool
	err      error
	signErr  error // of a private key of ours
}

// Client returns the client's side. Cfg is cloned; its KeyLogWriter is
// replaced, as the keys of EAP come from there.
func Client(cfg *tls.Config) *Conn { return newConn(cfg, true) }

// Server returns the server's side, as Client does.
func Server(cfg *tls.Config) *Conn { return newConn(cfg, false) }

func newConn(cfg *tls.Config, client bool) *Conn {
	c := &Conn{client: client, done: make(chan struct{})}
	c.mem = &memConn{idle: make(chan struct{}, 1)}
	c.mem.cond.L = &c.mem.mu
	cfg = cfg.Clone()
	cfg.KeyLogWriter = &c.keys
	cfg.Certificates = slices.Clone(cfg.Certificates)
	for i := range cfg.Certificates {
		if k, ok := cfg.Certificates[i].PrivateKey.(crypto.Signer); ok {
			cfg.Certificates[i].PrivateKey = signer{k, c}
		}
	}
	if client {
		c.tls = tls.Client(c.mem, cfg)
	} else {
		c.tls = tls.Server(c.mem, cfg)
	}
	return c
}

// Step delivers octets of the peer, runs TLS until it needs more, and returns
// what it sends. The client's first Step has no input. After a failure out is
// the alert to send, where there is one, beside the error.
func (c *Conn) Step(in []byte) (out []byte, err error) {
	if c.closed {
		return nil, ErrClosed
	}
	if err := c.failure(); err != nil {
		return c.mem.take(), err
	}
	if c.client {
		c.keys.serverFlight(in)
	}
	c.mem.feed(in)
	if !c.started {
		c.started = true
		go c.run()
	}
	select {
	case <-c.mem.idle:
	case <-c.done:
	}
	out = c.mem.take()
	if !c.client {
		c.keys.serverFlight(out)
	}
	return out, c.failure()
}

func (c *Conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// run is the goroutine: the handshake, then reading until failure or Close.
func (c *Conn) run() {
	defer close(c.done)
	err := c.tls.Handshake()
	c.mu.Lock()
	c.complete = err == nil
	c.mu.Unlock()
	buf := make([]byte, readBuffer)
	defer clear(buf)
	for err == nil {
		var n int
		n, err = c.tls.Read(buf)
		c.mu.Lock()
		if len(c.app)+n > appMax {
			err = errAppData
		} else {
			c.app = append(c.app, buf[:n]...)
		}
		c.mu.Unlock()
	}
	if errors.Is(err, io.EOF) {
		err = ErrPeerClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err = err; c.signErr != nil && !c.complete {
		c.err = &SignError{c.signErr}
	}
}

// signer is a private key of ours, whose error a Conn remembers.
type signer struct {
	crypto.Signer
	c *Conn
}

// Sign implements crypto.Signer.
func (s signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := s.Signer.Sign(random, digest, opts)
	if err != nil {
		s.c.mu.Lock()
		s.c.signErr = err
		s.c.mu.Unlock()
	}
	return sig, err
}

// Complete reports whether the handshake is done: the peer is authenticated as
// the configuration demands.
func (c *Conn) Complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete
}

// App returns the application data received so far and forgets it.
func (c *Conn) App() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.app
	c.app = nil
	return b
}

// Write encrypts application data and returns the records to send.
func (c *Conn) Write(app []byte) (out []byte, err error) {
	switch {
	case c.closed:
		return nil, ErrClosed
	case !c.Complete():
		return nil, errHandshake
	}
	if err := c.failure(); err != nil {
		return nil, err
	}
	if _, err := c.tls.Write(app); err != nil {
		return nil, fmt.Errorf("write to TLS: %w", err)
	}
	return c.mem.take(), nil
}

// State returns the connection's state once the handshake is complete.
func (c *Conn) State() (tls.ConnectionState, error) {
	if !c.Complete() {
		return tls.ConnectionState{}, errHandshake
	}
	return c.tls.ConnectionState(), nil
}

// Close ends the goroutine, waits for it and zeroes secrets. It may be called
// again.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	c.closed = true
	_ = c.mem.Close()
	if c.started {
		<-c.done
	}
	c.keys.zero()
	c.mu.Lock()
	clear(c.app)
	c.app = nil
	c.mu.Unlock()
}

// memConn is the in-memory net.Conn below TLS.
type memConn struct {
	mu     sync.Mutex
	cond   sync.Cond
	in     []byte
	out    []byte
	closed bool
	idle   chan struct{} // one token: Read found its input empty
}

func (m *memConn) feed(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The token of the wait that this input ends was taken by its Step.
	m.in = append(m.in, b...)
	m.cond.Signal()
}

func (m *memConn) take() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.out
	m.out = nil
	return b
}

func (m *memConn) Read(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.in) == 0 && !m.closed {
		m.signalIdle()
		m.cond.Wait()
	}
	if m.closed {
		return 0, net.ErrClosed
	}
	n := copy(b, m.in)
	m.in = m.in[n:]
	return n, nil
}

func (m *memConn) signalIdle() {
	select {
	case m.idle <- struct{}{}:
	default:
	}
}

func (m *memConn) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, net.ErrClosed
	}
	m.out = append(m.out, b...)
	return len(b), nil
}

func (m *memConn) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.cond.Broadcast()
	return nil
}

type memAddr struct{}

func (memAddr) Network() string { return "eap" }
func (memAddr) String() string  { return "eap" }

func (m *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (m *memConn) RemoteAddr() net.Addr { return memAddr{} }

// Deadlines are not needed: Step never waits for a peer.
func (m *memConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (m *memConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (m *memConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
