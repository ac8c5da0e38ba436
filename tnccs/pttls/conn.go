package pttls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// The transport as attributes IFT_PROTOCOL and IFT_VERSION of IF-IMC name it.
const (
	TransportProtocol = "IF-T for TLS"
	TransportVersion  = "2.0"
)

// Session is the TNC client's session that a connection carries.
// *tnccs.Session implements it.
type Session interface {
	// Begin returns the first batch.
	Begin(maxBatch int, protocol, version string) ([]byte, error)
	// Receive takes a batch of the server and returns the answer, or nothing.
	Receive(batch []byte) ([]byte, error)
	// Done reports whether CLOSE was sent or received.
	Done() bool
}

// Lasting is a Session that can continue after the server's decision, with later
// assessments on the same connection for which either end asks (RFC 6876 section
// 3.1). *tnccs.Session implements it; it rests if its KeepOpen was called.
type Lasting interface {
	Session
	// Resting reports whether the session waits for a new handshake.
	Resting() bool
	// Wanted receives a value when this end asks for a new handshake. Poll then
	// returns the batch to send, or nothing.
	Wanted() <-chan struct{}
	Poll() ([]byte, error)
	// End ends the session from this side and returns the last batch to send;
	// nothing where the session has ended.
	End() []byte
}

// Conn is a connection after the negotiation. It belongs to one goroutine; Close
// may be called from any.
type Conn struct {
	cfg     Config
	tls     *tls.Conn
	tnc     *slog.Logger
	info    Info
	next    uint32
	ignored int // messages without a batch since the last batch
	close   sync.Once
}

// Info describes a connection after the negotiation.
type Info struct {
	Remote        string // address and port
	TLS           string // "TLS 1.3, TLS_AES_128_GCM_SHA256"
	ServerSubject string // distinguished name of the server's certificate, fit to be printed
	// Authentication names the ways in which this end was authenticated: "certificate", "SASL
	// PLAIN", "SASL EXTERNAL", joined by " and "; "none".
	Authentication string
	// Unique is the tls-unique channel binding (RFC 5929); nil with TLS 1.3,
	// which has none.
	Unique []byte
}

// Dial connects to address ("host:port") and negotiates.
func Dial(ctx context.Context, address string, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.setup())
	defer cancel()
	cfg.tnc().Info("entering PT-TLS setup phase")
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to the PT-TLS server: %w", err)
	}
	return Client(ctx, raw, cfg)
}

// Client runs TLS and the negotiation over raw, which it owns: raw is closed with
// the Conn, and if Client fails.
func Client(ctx context.Context, raw net.Conn, cfg Config) (*Conn, error) {
	c := &Conn{cfg: cfg, tnc: cfg.tnc()}
	if cfg.Roots == nil || cfg.ServerName == "" {
		raw.Close()
		return nil, errors.New("PT-TLS: a CA and the server's name are required")
	}
	var cert clientCertificate
	c.tls = tls.Client(raw, cfg.tls(&cert))
	ctx, cancel := context.WithTimeout(ctx, cfg.setup())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err := c.negotiate(ctx, &cert)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		switch cerr := ctx.Err(); {
		case errors.Is(cerr, context.DeadlineExceeded):
			err = fmt.Errorf("PT-TLS: no agreement with the server within %v: %w", cfg.setup(), cerr)
		case cerr != nil:
			err = cerr
		}
		return nil, err
	}
	return c, nil
}

// negotiate runs the handshake and the negotiation.
func (c *Conn) negotiate(ctx context.Context, cert *clientCertificate) error {
	if err := c.tls.HandshakeContext(ctx); err != nil {
		if cert.signErr != nil {
			return &SignError{cert.signErr}
		}
		// With TLS 1.2 the server checks the client's certificate here, with 1.3 later.
		if e := c.refusal(cert, err); errors.Is(e, ErrAuthentication) || errors.Is(e, ErrNoCredentials) {
			return e
		}
		return fmt.Errorf("%w: %w", ErrTLS, err)
	}
	st := c.tls.ConnectionState()
	c.info = Info{
		Remote:        c.tls.RemoteAddr().String(),
		TLS:           tls.VersionName(st.Version) + ", " + tls.CipherSuiteName(st.CipherSuite),
		ServerSubject: text.Printable(st.PeerCertificates[0].Subject.String()),
		Unique:        st.TLSUnique,
	}
	log.Infof(log.Group(c.cfg.Logger, log.TLS), "negotiated %s with '%s'", c.info.TLS, c.info.ServerSubject)
	c.tnc.Info("entering PT-TLS negotiation phase")
	n := &negotiation{identity: c.cfg.Identity, secret: c.cfg.Secret, external: cert.sent, log: c.tnc}
	if len(n.secret) == 0 {
		n.secret = nil
	}
	if err := c.converse(n, cert); err != nil {
		return err
	}
	c.info.Authentication = c.authentication(n, cert)
	return nil
}

// converse exchanges messages until the negotiation is over.
func (c *Conn) converse(n *negotiation, cert *clientCertificate) error {
	out := n.start()
	for {
		if err := c.write(out...); err != nil {
			return c.refusal(cert, err)
		}
		if n.phase == transporting {
			return nil
		}
		m, err := ReadMessage(c.tls, maxNegotiation)
		if err == nil {
			logMessage(c.tnc, "received", m)
			out, err = n.handle(m)
		} else {
			var pe *ProtocolError
			if errors.As(err, &pe) {
				out = []Message{report(pe.Report)}
			} else {
				err = c.refusal(cert, err)
				out = nil
			}
		}
		if err != nil {
			_ = c.write(out...) // the connection ends; err is the cause
			if len(out) > 0 {
				c.shut()
			}
			return err
		}
	}
}

// authentication returns Info.Authentication.
func (c *Conn) authentication(n *negotiation, cert *clientCertificate) string {
	var ways []string
	switch {
	case cert.sent:
		ways = append(ways, "certificate")
	case cert.asked:
		c.tnc.Info("the server asked for a certificate and got none")
	case c.cfg.Certificate != nil:
		c.tnc.Info("the server asked for no certificate")
	}
	for _, m := range n.done {
		ways = append(ways, "SASL "+m)
	}
	if ways == nil {
		return "none"
	}
	return strings.Join(ways, " and ")
}

// refusal returns the error of a connection that ended during the negotiation.
// With TLS 1.3 the server checks the client's certificate only then.
func (c *Conn) refusal(cert *clientCertificate, err error) error {
	var alert *net.OpError
	switch {
	case errors.As(err, &alert) && alert.Op == "remote error" && cert.sent:
		return fmt.Errorf("%w by certificate: %w", ErrAuthentication, err)
	case errors.As(err, &alert) && alert.Op == "remote error" && cert.asked:
		return fmt.Errorf("%w: it asked for a certificate, and none is configured: %w", ErrNoCredentials, err)
	case hungUp(err):
		return fmt.Errorf("the PT-TLS server closed the connection during the negotiation: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("PT-TLS negotiation: %w", err)
}

// write sends messages with the next identifiers, and zeroes those that may
// hold a secret.
func (c *Conn) write(ms ...Message) error {
	for _, m := range ms {
		m.ID = c.next
		c.next++
		logMessage(c.tnc, "sending", m)
		b, err := m.AppendBinary(make([]byte, 0, HeaderSize+len(m.Value)))
		if err == nil {
			_, err = c.tls.Write(b)
		}
		if m.Type == TypeSASLSelection {
			clear(b)
			clear(m.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shut closes the writing half in order, so that the last message arrives.
func (c *Conn) shut() {
	_ = c.tls.SetDeadline(time.Now().Add(closeGrace))
	_ = c.tls.CloseWrite()
}

// Info describes the connection.
func (c *Conn) Info() Info { return c.info }

// Close ends the connection at once. It may be called more than once.
func (c *Conn) Close() error {
	c.close.Do(func() {
		_ = c.tls.SetDeadline(time.Now().Add(closeGrace / 4))
		_ = c.tls.Close() // sends close_notify; what fails here is of no consequence
	})
	return nil
}
