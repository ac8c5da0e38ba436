package tlspeer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsstep"
	"github.com/gotnc/gotnc/internal/base/log"
)

var (
	errNotStarted = errors.New("server sent data before the start packet")
	errRestarted  = errors.New("server sent a second start packet")
	errClosed     = errors.New("method is closed")
)

// Inside is what a method does with the tunnel.
type Inside interface {
	// Enter is called once: the handshake is complete, the server authenticated.
	Enter(st tls.ConnectionState)
	// First returns what the client sends unasked once the handshake is complete,
	// nothing where the server speaks first.
	First() ([]byte, error)
	// Receive takes application data that came with the request of identifier
	// id, and returns the answer, nothing where it has none yet.
	Receive(id uint8, app []byte) ([]byte, error)
	// Accepts reports whether a Success may come now.
	Accepts() bool
}

// Conn is the client's TLS connection inside an EAP method, as far as it is an
// eap.Method itself. It belongs to one goroutine. Close it.
type Conn struct {
	kind    tlskind.Kind
	in      Inside
	log     *slog.Logger
	frame   *tlsframe.Conn
	maxSize int // configured fragment size

	messages, maxMessages int // packets received; 0 = no limit

	tls     *tlsstep.Conn
	keys    tlsstep.Keys
	started bool
	tunnel  bool // the handshake is complete, the server authenticated
	failed  error
	closed  bool
}

// New returns a Conn that waits for the server's start packet.
func New(kind tlskind.Kind, cfg Config, in Inside) (*Conn, error) {
	if cfg.TLS.Roots == nil && cfg.TLS.Verify == nil {
		return nil, eap.ErrNoRoots
	}
	if cfg.TLS.ServerName == "" && cfg.TLS.MatchIdentity == nil && cfg.TLS.Verify == nil {
		return nil, eap.ErrNoIdentity
	}
	frame := kind.Frame(cfg.FragmentSize)
	frame.LengthAlways = cfg.Length
	return &Conn{
		kind: kind, in: in, log: log.Group(cfg.Logger, log.TLS),
		frame: tlsframe.New(frame), maxSize: frame.FragmentSize, maxMessages: cfg.MaxMessages,
		tls: tlsstep.Client(tlsConfig(&cfg.TLS)),
	}, nil
}

// Type returns the method's type.
func (c *Conn) Type() eap.Type { return c.kind.Type }

// SetFragmentSize sets the largest EAP packet to send, in octets, up to the
// configured size.
func (c *Conn) SetFragmentSize(octets int) { c.frame.SetFragmentSize(min(octets, c.maxSize)) }

// Handle answers one request.
func (c *Conn) Handle(req eap.Packet) (eap.Reply, error) {
	if c.closed {
		return eap.Reply{}, errClosed
	}
	if c.messages++; c.maxMessages > 0 && c.messages > c.maxMessages {
		log.Infof(c.log, "%s packet count exceeded (%d > %d)", c.kind.Type, c.messages, c.maxMessages)
		return eap.Reply{}, &eap.MessageCountError{Type: c.kind.Type, Limit: c.maxMessages}
	}
	ev, err := c.frame.Receive(req.Data)
	if err != nil {
		return eap.Reply{}, err
	}
	switch {
	case ev == tlsframe.Start && c.started:
		return eap.Reply{}, errRestarted
	case ev == tlsframe.Start:
		c.started = true
		if c.kind.Version >= 0 {
			log.Infof(c.log, "%s version is v%d", c.kind.Type, c.kind.Version)
		}
		return c.step(req.ID, nil)
	case !c.started:
		return eap.Reply{}, errNotStarted
	case ev == tlsframe.More:
		return eap.Reply{Data: c.frame.Ack(), Decision: eap.DecisionFail}, nil
	case ev == tlsframe.Ack || c.failed != nil:
		// Either the next fragment is wanted, or the server has nothing to say.
		return c.reply(), nil
	}
	return c.step(req.ID, c.frame.Message())
}

// step gives TLS a flight of the server and queues the answer.
func (c *Conn) step(id uint8, in []byte) (eap.Reply, error) {
	out, tlsErr := c.tls.Step(in)
	app := c.tls.App()
	entered := false
	if c.tls.Complete() && !c.tunnel {
		if err := c.enter(); err != nil {
			return eap.Reply{}, err
		}
		entered = true
	}
	var answer []byte
	var err error
	switch {
	case c.tunnel && errors.Is(tlsErr, tlsstep.ErrPeerClosed) && len(app) == 0:
		// close_notify: the server has nothing more to say in the tunnel.
	case tlsErr != nil:
		// The alert has to reach the server: the exchange ends with its Failure.
		c.failed = c.tlsError(tlsErr)
	case len(app) > 0:
		answer, err = c.in.Receive(id, app)
	case entered:
		answer, err = c.in.First()
	}
	if err != nil {
		return eap.Reply{}, err
	}
	if len(answer) > 0 {
		rec, err := c.tls.Write(answer)
		if err != nil {
			return eap.Reply{}, err
		}
		out = append(out, rec...)
	}
	if err := c.frame.Send(out); err != nil {
		return eap.Reply{}, err
	}
	return c.reply(), nil
}

// enter is called once as the handshake completes.
func (c *Conn) enter() error {
	st, err := c.tls.State()
	if err != nil {
		return err
	}
	log.Infof(c.log, "negotiated %s using suite %s", tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite))
	if len(st.PeerCertificates) > 0 {
		log.Infof(c.log, "received TLS server certificate '%s'", st.PeerCertificates[0].Subject)
	}
	if c.keys, err = c.tls.Keys(uint8(c.kind.Type), c.kind.Label); err != nil {
		return err
	}
	c.tunnel = true
	c.in.Enter(st)
	return nil
}

func (c *Conn) tlsError(err error) error {
	var bad *eap.VerifyError
	if errors.As(err, &bad) {
		c.log.Info(bad.Error())
		return bad
	}
	if c.tunnel {
		return fmt.Errorf("read from TLS tunnel: %w", err)
	}
	log.Infof(c.log, "TLS handshake failed: %v", err)
	return fmt.Errorf("TLS handshake: %w", err)
}

// reply sends the next fragment or an empty packet. A Success is acceptable as
// soon as the server is authenticated and the inside agrees.
func (c *Conn) reply() eap.Reply {
	r := eap.Reply{Data: c.frame.Next(), Err: c.failed}
	if c.tunnel && c.failed == nil && !c.frame.Pending() && c.in.Accepts() {
		r.Decision = eap.DecisionMaySucceed
	}
	return r
}

// Tunnel reports whether the handshake is complete.
func (c *Conn) Tunnel() bool { return c.tunnel }

// MSK returns the Master Session Key, nil before the handshake is complete.
func (c *Conn) MSK() []byte { return c.keys.MSK }

// EMSK returns the Extended Master Session Key, nil before the handshake is complete.
func (c *Conn) EMSK() []byte { return c.keys.EMSK }

// SessionID returns the EAP Session-Id, nil before the handshake is complete.
func (c *Conn) SessionID() []byte { return c.keys.SessionID }

// Explain returns the probable cause of a Failure during the handshake, nil
// after it.
func (c *Conn) Explain() error {
	if !c.tunnel {
		return eap.ErrHandshakeEnded
	}
	return nil
}

// Close ends TLS and zeroes keys. It may be called again.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	c.closed = true
	c.tls.Close()
	c.keys.Zero()
	c.keys = tlsstep.Keys{}
}
