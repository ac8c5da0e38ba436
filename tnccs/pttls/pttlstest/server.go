// Package pttlstest is a small PT-TLS server (RFC 6876) for tests: the double
// of the edge that package pttls talks to.
package pttlstest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gotnc/gotnc/tnccs/pttls"
)

// Auth is how the server authenticates clients, as strongSwan's modes.
type Auth int

// Modes.
const (
	AuthNone      Auth = iota // the certificate is not asked for, SASL neither
	AuthTLS                   // a certificate is required
	AuthSASL                  // SASL is required
	AuthTLSOrSASL             // SASL only where no certificate came: strongSwan's tnc-pdp
	AuthBoth                  // a certificate and SASL EXTERNAL or PLAIN
)

// Session is the TNC server's session of one connection.
type Session interface {
	Receive(batch []byte) ([]byte, error)
}

// Config describes a Server. Certificate is required, and Session where clients
// come as far.
type Config struct {
	Certificate tls.Certificate
	ClientCAs   *x509.CertPool
	Auth        Auth
	Passwords   map[string]string
	Session     func() Session
	MaxVersion  uint16 // of TLS

	Version    uint8            // of PT-TLS that is answered; 0 means 1
	Mechanisms pttls.Mechanisms // nil means PLAIN
	Short      bool             // SASL results in strongSwan's form
	// Script replaces the server: it is called after the handshake and owns the
	// connection until it returns.
	Script func(c *tls.Conn)
	// Insert holds messages that are sent ahead of each batch.
	Insert []pttls.Message
	// Push holds batches that the server sends of its own accord (full duplex).
	Push <-chan []byte
	// OmitClose keeps the connection open after CLOSE.
	OmitClose bool
}

// Server listens on the loopback device.
type Server struct {
	cfg Config
	ln  net.Listener
	wg  sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	clients  []string
	failures []error
	errors   []pttls.Error
	secrets  int
	closed   bool
}

// New starts a server. Close ends it.
func New(cfg Config) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, ln: ln, conns: map[net.Conn]bool{}}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// Addr returns the address to connect to.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Clients returns the identities that were authenticated, in order: "cert: CN",
// "PLAIN: name", "EXTERNAL", "none".
func (s *Server) Clients() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.clients...)
}

// Errors returns the PT-TLS errors that clients reported.
func (s *Server) Errors() []pttls.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]pttls.Error(nil), s.errors...)
}

// Secrets returns how many passwords were received.
func (s *Server) Secrets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets
}

// Close ends the server and all its connections.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	err := s.ln.Close()
	s.wg.Wait()
	return err
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		raw, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			raw.Close()
			return
		}
		s.conns[raw] = true
		s.wg.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.wg.Done()
			err := s.serve(raw)
			raw.Close()
			s.mu.Lock()
			delete(s.conns, raw)
			if err != nil {
				s.failures = append(s.failures, err)
			}
			s.mu.Unlock()
		}()
	}
}

// Failures returns what ended connections before their time.
func (s *Server) Failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.failures...)
}

// conn is one client.
type conn struct {
	*tls.Conn
	s *Server

	writing sync.Mutex
	next    uint32 // under writing
}

var errDone = errors.New("done")

func (s *Server) serve(raw net.Conn) error {
	t := &tls.Config{Certificates: []tls.Certificate{s.cfg.Certificate}, ClientCAs: s.cfg.ClientCAs, MaxVersion: s.cfg.MaxVersion}
	switch s.cfg.Auth {
	case AuthTLS, AuthBoth:
		t.ClientAuth = tls.RequireAndVerifyClientCert
	case AuthTLSOrSASL:
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c := &conn{Conn: tls.Server(raw, t), s: s}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if err := c.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if s.cfg.Script != nil {
		s.cfg.Script(c.Conn)
		return nil
	}
	err := c.run()
	_ = c.CloseWrite()
	if errors.Is(err, errDone) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (c *conn) run() error {
	m, err := c.read(pttls.TypeVersionRequest)
	if err != nil {
		return err
	}
	req, err := parseVersionRequest(m.Value)
	if err != nil {
		return err
	}
	v := max(c.s.cfg.Version, pttls.Version)
	if c.s.cfg.Version == 0 && (req.Min > v || req.Max < v) {
		return fmt.Errorf("no common version in %+v", req)
	}
	b, _ := pttls.VersionResponse{Version: v}.AppendBinary(nil)
	if err := c.write(pttls.TypeVersionResponse, b); err != nil {
		return err
	}
	who := "none"
	certs := c.ConnectionState().PeerCertificates
	if len(certs) > 0 {
		who = "cert: " + certs[0].Subject.CommonName
	}
	if a := c.s.cfg.Auth; a == AuthSASL || a == AuthBoth || a == AuthTLSOrSASL && len(certs) == 0 {
		if who, err = c.sasl(len(certs) > 0); err != nil {
			return err
		}
	}
	if err := c.write(pttls.TypeSASLMechanisms, nil); err != nil {
		return err
	}
	c.s.mu.Lock()
	c.s.clients = append(c.s.clients, who)
	c.s.mu.Unlock()
	return c.transport()
}

func (c *conn) sasl(certified bool) (string, error) {
	offer := c.s.cfg.Mechanisms
	if offer == nil {
		offer = pttls.Mechanisms{pttls.MechanismPlain}
	}
	b, err := offer.AppendBinary(nil)
	if err != nil {
		return "", err
	}
	if err := c.write(pttls.TypeSASLMechanisms, b); err != nil {
		return "", err
	}
	for range 4 {
		m, err := c.read(pttls.TypeSASLSelection)
		if err != nil {
			return "", err
		}
		sel, err := parseSelection(m.Value)
		if err != nil {
			return "", err
		}
		code, who := pttls.SASLFailure, ""
		switch sel.Mechanism {
		case pttls.MechanismExternal:
			who = "EXTERNAL"
			code = pttls.SASLMechanismFailure
			if certified {
				code = pttls.SASLSuccess
			}
		case pttls.MechanismPlain:
			_, name, secret, err := parsePlain(sel.Initial)
			if err != nil {
				return "", err
			}
			c.s.mu.Lock()
			c.s.secrets++
			c.s.mu.Unlock()
			who = "PLAIN: " + name
			if want, ok := c.s.cfg.Passwords[name]; ok && want == string(secret) {
				code = pttls.SASLSuccess
			}
		}
		r, _ := pttls.SASLResult{Code: code, Short: c.s.cfg.Short}.AppendBinary(nil)
		if err := c.write(pttls.TypeSASLResult, r); err != nil {
			return "", err
		}
		if code == pttls.SASLSuccess {
			return who, nil
		}
	}
	return "", errors.New("SASL failed four times")
}

// isClose looks at the type of a PB-TNC batch.
func isClose(batch []byte) bool { return len(batch) >= 4 && batch[3]&0x0f == 6 }

func (c *conn) transport() error {
	session := c.s.cfg.Session()
	defer c.push()()
	for {
		m, err := c.read(pttls.TypeBatch)
		if err != nil {
			return err
		}
		reply, err := session.Receive(m.Value)
		if err != nil {
			return err
		}
		if len(reply) > 0 {
			for _, in := range c.s.cfg.Insert {
				if err := c.send(in); err != nil {
					return err
				}
			}
			if err := c.write(pttls.TypeBatch, reply); err != nil {
				return err
			}
		}
		if isClose(m.Value) || isClose(reply) {
			if c.s.cfg.OmitClose {
				_, _ = io.Copy(io.Discard, c)
			}
			return errDone
		}
	}
}

// push sends the batches of Push until the function that it returns is called.
func (c *conn) push() (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case b := <-c.s.cfg.Push:
				if c.write(pttls.TypeBatch, b) != nil {
					return
				}
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// read returns the next message, which must be of that type. Errors of the
// client that are not fatal are recorded and passed over.
func (c *conn) read(want pttls.Type) (pttls.Message, error) {
	for {
		m, err := pttls.ReadMessage(c, pttls.MaxMessageSize)
		if err != nil {
			return m, err
		}
		if m.Is(pttls.TypeError) {
			e, err := pttls.ParseError(m.Value)
			if err != nil {
				return m, err
			}
			c.s.mu.Lock()
			c.s.errors = append(c.s.errors, e)
			c.s.mu.Unlock()
			if e.Fatal() {
				return m, &pttls.PeerError{Received: e}
			}
			continue
		}
		if !m.Is(want) {
			return m, fmt.Errorf("%s where %s was due", m.Name(), want)
		}
		return m, nil
	}
}

func (c *conn) write(t pttls.Type, value []byte) error {
	return c.send(pttls.Message{Type: t, Value: value})
}

func (c *conn) send(m pttls.Message) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	m.ID = c.next
	c.next++
	b, err := m.AppendBinary(nil)
	if err == nil {
		_, err = c.Write(b)
	}
	return err
}
