// Package ttls is EAP-TTLSv0 (RFC 5281, with TLS 1.3 RFC 9427): the peer's
// side, and the half of a server that framing, TLS and AVPs are.
package ttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/tlsstep"
	"github.com/gotnc/gotnc/internal/log"
)

// FragmentSize is the default of the largest EAP packet, in octets. A charon
// gateway takes IKE messages of 10,000 octets (max_packet), and each fragment
// costs an IKE exchange.
const FragmentSize = 9000

var (
	errNotStarted = errors.New("server sent data before the start packet")
	errRestarted  = errors.New("server sent a second start packet")
	errClosed     = errors.New("method is closed")
	errInnerEnd   = errors.New("server ended the inner authentication inside the tunnel")
)

// Config is what a Method needs.
type Config struct {
	// Roots are the CAs trusted for the server's certificate. There is no
	// default: without them New fails.
	Roots *x509.CertPool
	// ServerName is the DNS name or IP address that the server's certificate
	// has to carry as subjectAltName, unless MatchIdentity is set.
	ServerName string
	// MatchIdentity, where set, decides instead of ServerName whether the
	// certificate, whose chain is verified already, is the expected server's:
	// for identities that are e-mail addresses or distinguished names.
	MatchIdentity func(leaf *x509.Certificate) error
	// ExtKeyUsages are the key usages of which the chain needs one; empty is
	// ServerAuth. A certificate without that extension has all.
	ExtKeyUsages []x509.ExtKeyUsage
	// Certificates authenticate the client where the server asks.
	Certificates []tls.Certificate
	// MinVersion and MaxVersion limit TLS; 0 is TLS 1.2, and no limit. Nothing
	// below TLS 1.2 is spoken.
	MinVersion, MaxVersion uint16
	// Time is the clock for certificates; nil is time.Now.
	Time func() time.Time
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is the
	// constant.
	FragmentSize int
	// Inner is the authentication inside the tunnel; its Sequence is implied.
	Inner eap.Config
	// Log gets strongSwan's lines; nil discards.
	Log *slog.Logger
}

// Method is the peer's side. It belongs to one goroutine. Close it.
type Method struct {
	cfg     Config
	tlsLog  *slog.Logger
	ikeLog  *slog.Logger
	frame   *tlsframe.Conn
	tls     *tlsstep.Conn
	inner   *eap.Peer
	avps    avpStream
	keys    tlsstep.Keys
	started bool
	tunnel  bool // the handshake is complete, the server authenticated
	failed  error
	closed  bool
}

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	if cfg.Roots == nil {
		return nil, errNoRoots
	}
	if cfg.ServerName == "" && cfg.MatchIdentity == nil {
		return nil, errNoIdentity
	}
	if cfg.FragmentSize == 0 {
		cfg.FragmentSize = FragmentSize
	}
	cfg.Inner.Sequence = true
	if cfg.Inner.Log == nil {
		cfg.Inner.Log = cfg.Log
	}
	m := &Method{
		cfg:    cfg,
		tlsLog: log.Group(cfg.Log, log.TLS),
		ikeLog: log.Group(cfg.Log, log.IKE),
		frame: tlsframe.New(tlsframe.Config{
			Version: 0, CheckVersion: true, LengthAlways: true,
			FragmentSize: cfg.FragmentSize,
		}),
		inner: eap.NewPeer(cfg.Inner),
	}
	m.tls = tlsstep.Client(m.cfg.tlsConfig())
	return m, nil
}

// Offer returns the offer of this method for an eap.Config.
func Offer(cfg Config) eap.Offer {
	return eap.Offer{Type: eap.TypeTTLS, New: func() (eap.Method, error) {
		m, err := New(cfg)
		if err != nil {
			return nil, err
		}
		return m, nil
	}}
}

// Type returns eap.TypeTTLS.
func (m *Method) Type() eap.Type { return eap.TypeTTLS }

// SetFragmentSize sets the largest EAP packet to send, in octets.
func (m *Method) SetFragmentSize(octets int) { m.frame.SetFragmentSize(octets) }

// Handle answers one request.
func (m *Method) Handle(req eap.Packet) (eap.Reply, error) {
	if m.closed {
		return eap.Reply{}, errClosed
	}
	ev, err := m.frame.Receive(req.Data)
	if err != nil {
		return eap.Reply{}, err
	}
	switch {
	case ev == tlsframe.Start && m.started:
		return eap.Reply{}, errRestarted
	case ev == tlsframe.Start:
		m.started = true
		m.tlsLog.Info(fmt.Sprintf("EAP_TTLS version is v%d", req.Data[0]&tlsframe.VersionMask))
		return m.step(nil)
	case !m.started:
		return eap.Reply{}, errNotStarted
	case ev == tlsframe.More:
		return eap.Reply{Data: m.frame.Ack(), Decision: eap.DecisionFail}, nil
	case ev == tlsframe.Ack || m.failed != nil:
		// Either the next fragment is wanted, or the server has nothing to say.
		return m.reply(), nil
	}
	return m.step(m.frame.Message())
}

// step gives TLS a flight of the server and queues the answer.
func (m *Method) step(in []byte) (eap.Reply, error) {
	out, tlsErr := m.tls.Step(in)
	app := m.tls.App()
	entered := false
	if m.tls.Complete() && !m.tunnel {
		if err := m.enter(); err != nil {
			return eap.Reply{}, err
		}
		entered = true
	}
	switch {
	case m.tunnel && errors.Is(tlsErr, tlsstep.ErrPeerClosed) && len(app) == 0:
		// close_notify: the server has nothing more to say in the tunnel.
	case tlsErr != nil:
		// The alert has to reach the server: the exchange ends with its Failure.
		m.failed = m.tlsError(tlsErr)
	case len(app) > 0:
		rec, err := m.receive(app)
		if err != nil {
			return eap.Reply{}, err
		}
		out = append(out, rec...)
	case entered:
		// The client speaks first, unless the server asked for the identity
		// together with its Finished (RFC 5281 §11.2.1).
		p, err := m.inner.IdentityResponse()
		if err != nil {
			return eap.Reply{}, err
		}
		rec, err := m.seal(p)
		if err != nil {
			return eap.Reply{}, err
		}
		out = append(out, rec...)
	}
	if err := m.frame.Send(out); err != nil {
		return eap.Reply{}, err
	}
	return m.reply(), nil
}

// enter is called once as the handshake completes.
func (m *Method) enter() error {
	st, err := m.tls.State()
	if err != nil {
		return err
	}
	m.tlsLog.Info(fmt.Sprintf("negotiated %s using suite %s", tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite)))
	if len(st.PeerCertificates) > 0 {
		m.tlsLog.Info(fmt.Sprintf("received TLS server certificate '%s'", st.PeerCertificates[0].Subject))
	}
	keys, err := m.tls.Keys(uint8(eap.TypeTTLS), tlsstep.LabelTTLS)
	if err != nil {
		return err
	}
	m.keys, m.tunnel = keys, true
	return nil
}

func (m *Method) tlsError(err error) error {
	var bad *VerifyError
	if errors.As(err, &bad) {
		m.tlsLog.Info(bad.Error())
		return bad
	}
	if m.tunnel {
		return fmt.Errorf("read from TLS tunnel: %w", err)
	}
	m.tlsLog.Info(fmt.Sprintf("TLS handshake failed: %v", err))
	return fmt.Errorf("TLS handshake: %w", err)
}

// receive handles application data of the server and returns the records of
// the answer, none where its packet is not complete yet.
func (m *Method) receive(app []byte) ([]byte, error) {
	// A single octet 0 is the protected success indication of TLS 1.3
	// (RFC 9427 §3.2): the answer is an empty packet.
	if len(app) == 1 && app[0] == 0 && m.avps.idle() {
		return nil, nil
	}
	packet, err := m.avps.push(app)
	if err != nil {
		return nil, err
	}
	if packet == nil {
		m.ikeLog.Debug("need more AVP data")
		return nil, nil
	}
	m.logTunneled("received", packet)
	response, status, err := m.inner.Handle(packet)
	if err != nil {
		return nil, fmt.Errorf("inside the tunnel: %w", err)
	}
	if status != eap.StatusContinue {
		return nil, errInnerEnd
	}
	return m.seal(response)
}

// seal wraps an inner EAP packet into an AVP and TLS records.
func (m *Method) seal(packet []byte) ([]byte, error) {
	m.logTunneled("sending", packet)
	avp, err := AppendEAP(nil, packet)
	if err != nil {
		return nil, err
	}
	return m.tls.Write(avp)
}

func (m *Method) logTunneled(verb string, packet []byte) {
	p, err := eap.Parse(packet)
	if err != nil {
		return // inner.Handle reports it
	}
	m.ikeLog.Info(fmt.Sprintf("%s tunneled EAP-TTLS AVP [%s]", verb, p))
}

// reply sends the next fragment or an empty packet. A Success is acceptable as
// soon as the server is authenticated and no inner method is half done.
func (m *Method) reply() eap.Reply {
	r := eap.Reply{Data: m.frame.Next(), Err: m.failed}
	inner := m.inner.Method() == eap.TypeNone || m.inner.Decision() == eap.DecisionMaySucceed
	if m.tunnel && m.failed == nil && inner && !m.frame.Pending() && m.avps.idle() {
		r.Decision = eap.DecisionMaySucceed
	}
	return r
}

// MSK returns the Master Session Key, nil before the tunnel stands.
func (m *Method) MSK() []byte { return m.keys.MSK }

// EMSK returns the Extended Master Session Key, nil before the tunnel stands.
func (m *Method) EMSK() []byte { return m.keys.EMSK }

// SessionID returns the EAP Session-Id, nil before the tunnel stands.
func (m *Method) SessionID() []byte { return m.keys.SessionID }

// Explain names the likely cause of a Failure.
func (m *Method) Explain() string {
	if !m.tunnel {
		return "the server gave up before the TLS tunnel stood; its log says why (TLS versions, suites, or a client certificate that it wants)"
	}
	return m.inner.Explain()
}

// Close ends TLS and zeroes keys. It may be called again.
func (m *Method) Close() {
	if m.closed {
		return
	}
	m.closed = true
	m.inner.Close()
	m.tls.Close()
	m.keys.Zero()
	m.keys = tlsstep.Keys{}
}
