// Package tnc carries a TNC session inside EAP: EAP-TNC (type 38, TCG IF-T for
// Tunneled EAP 1.1) and PT-EAP (type 54, RFC 7171). Neither derives a key;
// both belong inside a TLS tunnel (RFC 7171 section 4.1).
package tnc

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/internal/tncframe"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Version is the only version of both methods.
const Version = tncframe.Version

// MaxBatch is the largest batch that a session may send, in octets: what
// strongSwan allows over EAP, four TLS records less the AVP and EAP headers.
const MaxBatch = 4*16384 - 14

// The IF-T binding that Session.Begin gets: protocol, and its version for each
// method.
const (
	Protocol   = "IF-T for Tunneled EAP"
	VersionTNC = "1.1"
	VersionPT  = "2.0"
)

// Session is the TNC client's side of one connection; *tnccs.Session is one.
// The method neither makes nor closes it.
type Session interface {
	// Begin starts the handshake and returns the first batch, of at most
	// maxBatch octets; an empty one says nothing. Protocol and version name the
	// IF-T binding.
	Begin(maxBatch int, protocol, version string) ([]byte, error)
	// Receive takes one batch of the server, which is its own from then on, and
	// returns the answer; empty where there is none.
	Receive(batch []byte) ([]byte, error)
}

// Judge is a Session that refuses a success while something speaks against the
// server: in mutual measurement this end measures it as well.
type Judge interface {
	// PeerVerdict returns what speaks against the server, nil where a success
	// may be accepted.
	PeerVerdict() error
}

var (
	errNotStarted = errors.New("server sent data before the start packet")
	errRestarted  = errors.New("server sent a second start packet")
	errNoSession  = errors.New("no TNC session configured")
)

// Config is what a Method needs.
type Config struct {
	// Session is the TNC client's; it is required.
	Session Session
	// FragmentSize is the largest inner EAP packet of EAP-TNC, in octets; 0 is
	// 65535: strongSwan's server does not reassemble. PT-EAP never fragments.
	FragmentSize int
	// MaxBatch limits the session's batches, in octets; 0 is the constant.
	MaxBatch int
	// MaxMessages limits the packets that the server may send, acknowledgements
	// included; 0 is no limit but the tunnel's.
	MaxMessages int
	// Logger gets strongSwan's lines; nil discards.
	Logger *slog.Logger
}

// Method is the peer's side. It belongs to one goroutine.
type Method struct {
	typ      eap.Type
	cfg      Config
	log      *slog.Logger
	frame    tncframe.Framer
	started  bool
	messages int
}

// New returns a Method of eap.TypeTNC or eap.TypePT that waits for the server's
// start packet.
func New(t eap.Type, cfg Config) (*Method, error) {
	if cfg.Session == nil {
		return nil, errNoSession
	}
	if cfg.MaxBatch <= 0 || cfg.MaxBatch > MaxBatch {
		cfg.MaxBatch = MaxBatch
	}
	f, err := tncframe.New(t, cfg.FragmentSize)
	if err != nil {
		return nil, err
	}
	return &Method{typ: t, cfg: cfg, log: log.Group(cfg.Logger, log.TLS), frame: f}, nil
}

// OfferTNC returns the offer of EAP-TNC for the eap.Config of a tunnel. Offers
// of both methods may share a session: a server runs one of them.
func OfferTNC(cfg Config) eap.Offer { return offer(eap.TypeTNC, cfg) }

// OfferPT returns the offer of PT-EAP for the eap.Config of a tunnel.
func OfferPT(cfg Config) eap.Offer { return offer(eap.TypePT, cfg) }

func offer(t eap.Type, cfg Config) eap.Offer {
	return eap.OfferOf(t, func() (*Method, error) { return New(t, cfg) })
}

// Type returns the type that the method was made with.
func (m *Method) Type() eap.Type { return m.typ }

// Handle answers one request.
func (m *Method) Handle(req eap.Packet) (eap.Reply, error) {
	if m.messages++; m.cfg.MaxMessages > 0 && m.messages > m.cfg.MaxMessages {
		log.Infof(m.log, "%s packet count exceeded (%d > %d)", m.typ, m.messages, m.cfg.MaxMessages)
		return eap.Reply{}, &eap.MessageCountError{Type: m.typ, Limit: m.cfg.MaxMessages}
	}
	ev, err := m.frame.Receive(req.Data)
	if err != nil {
		return eap.Reply{}, err
	}
	var batch []byte
	switch {
	case ev == tlsframe.Start && m.started:
		return eap.Reply{}, errRestarted
	case ev == tlsframe.Start:
		m.started = true
		log.Infof(m.log, "%s version is v%d", m.typ, req.Data[0]&tlsframe.VersionMask)
		batch, err = m.cfg.Session.Begin(m.cfg.MaxBatch, Protocol, m.version())
		if err != nil {
			return eap.Reply{}, fmt.Errorf("begin TNC session: %w", err)
		}
	case !m.started:
		return eap.Reply{}, errNotStarted
	case ev == tlsframe.More:
		return eap.Reply{Data: m.frame.Ack(), Decision: eap.DecisionFail}, nil
	case ev == tlsframe.Ack:
		// Either the next fragment is wanted, or the server has nothing to say.
		return m.reply(), nil
	case ev == tlsframe.Message:
		batch, err = m.cfg.Session.Receive(m.frame.Message())
		if err != nil {
			return eap.Reply{}, fmt.Errorf("process TNC batch: %w", err)
		}
	}
	if len(batch) > m.cfg.MaxBatch {
		return eap.Reply{}, fmt.Errorf("send TNC batch of %d octets: %w (%d)", len(batch), tncframe.ErrBatch, m.cfg.MaxBatch)
	}
	if err := m.frame.Send(batch); err != nil {
		return eap.Reply{}, err
	}
	return m.reply(), nil
}

// reply sends what is queued. Whether the session is over is the server's
// decision, which its Success or Failure announces; only fragments under way
// and a Judge rule a Success out.
func (m *Method) reply() eap.Reply {
	r := eap.Reply{Data: m.frame.Next(), Decision: eap.DecisionMaySucceed}
	if j, ok := m.cfg.Session.(Judge); m.frame.Pending() || ok && j.PeerVerdict() != nil {
		r.Decision = eap.DecisionFail
	}
	return r
}

func (m *Method) version() string {
	if m.typ == eap.TypePT {
		return VersionPT
	}
	return VersionTNC
}

// Explain returns eap.ErrPolicy.
func (m *Method) Explain() error { return eap.ErrPolicy }

// Close does nothing: the session is its maker's.
func (m *Method) Close() {}
