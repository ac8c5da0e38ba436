// Package tnc carries a TNC session inside EAP: EAP-TNC (type 38, TCG IF-T for
// Tunneled EAP 1.1) and PT-EAP (type 54, RFC 7171). Neither derives a key;
// both belong inside a TLS tunnel (RFC 7171 §4.1).
package tnc

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlsframe"
	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	// Version is the only version of both methods.
	Version = 1
	// MaxBatch is the largest batch that a session may send, in octets: what
	// strongSwan allows over EAP, four TLS records less the AVP and EAP headers.
	MaxBatch = 4*16384 - 14

	ptStart = 0x80 // S flag of PT-EAP (RFC 7171 §3.3)

	ptOverhead = 6     // EAP header, type and flags
	messageMax = 75000 // largest reassembled batch, hostap's limit
)

// Transport names the IF-T binding to the TNC client.
type Transport struct {
	Protocol string // attribute "IF-T protocol"
	Version  string
}

// The bindings of the two methods.
var (
	TransportTNC = Transport{Protocol: "IF-T for Tunneled EAP", Version: "1.1"}
	TransportPT  = Transport{Protocol: "IF-T for Tunneled EAP", Version: "2.0"}
)

// Session is the TNC client's side of one connection. The method neither
// makes nor closes it.
type Session interface {
	// Begin starts the handshake and returns the first batch, of at most
	// maxBatch octets; an empty one says nothing.
	Begin(maxBatch int, transport Transport) ([]byte, error)
	// Receive takes one batch of the server, which is its own from then on, and
	// returns the answer; empty where there is none.
	Receive(batch []byte) ([]byte, error)
}

// Accepter is a Session that refuses a success while something speaks against
// the server: in mutual measurement this end measures it as well.
type Accepter interface {
	// Accepts reports whether a success may be taken as things stand.
	Accepts() bool
}

var (
	errNotStarted  = errors.New("server sent data before the start packet")
	errRestarted   = errors.New("server sent a second start packet")
	errStartData   = errors.New("start packet carries data")
	errBatch       = errors.New("batch exceeds what the transport carries")
	errType        = errors.New("type is neither EAP-TNC nor PT-EAP")
	errVersion     = errors.New("unsupported version")
	errNoSession   = errors.New("no TNC session configured")
	errManyPackets = errors.New("server sent more packets than allowed")
	errNoFlags     = errors.New("packet has data but version 0")
)

// Config is what a Method needs.
type Config struct {
	Type    eap.Type // eap.TypeTNC or eap.TypePT
	Session Session
	// FragmentSize is the largest inner EAP packet of EAP-TNC, in octets; 0 is
	// 65535: strongSwan's server does not reassemble. PT-EAP never fragments.
	FragmentSize int
	// MaxBatch limits the session's batches, in octets; 0 is the constant.
	MaxBatch int
	// MaxMessages limits the packets that the server may send, acknowledgements
	// included; 0 is no limit but the tunnel's.
	MaxMessages int
	// Log gets strongSwan's lines; nil discards.
	Log *slog.Logger
}

// Method is the peer's side. It belongs to one goroutine.
type Method struct {
	cfg     Config
	log     *slog.Logger
	frame   framer
	started bool
	packets int
}

// framer is what differs between the two types: tlsframe.Conn, or ptFrame.
type framer interface {
	Receive(data []byte) (tlsframe.Event, error)
	Message() []byte
	Send(msg []byte) error
	Pending() bool
	Next() []byte
	Ack() []byte
	StartPacket() []byte
}

func newFramer(t eap.Type, fragmentSize int) (framer, error) {
	switch t {
	case eap.TypeTNC:
		if fragmentSize == 0 {
			fragmentSize = tlsframe.MaxFragment
		}
		return tlsframe.New(tlsframe.Config{
			Version: Version, CheckVersion: true,
			FragmentSize: fragmentSize, MaxMessage: messageMax,
		}), nil
	case eap.TypePT:
		return &ptFrame{}, nil
	}
	return nil, fmt.Errorf("%w: %s", errType, t)
}

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	if cfg.Session == nil {
		return nil, errNoSession
	}
	if cfg.MaxBatch <= 0 || cfg.MaxBatch > MaxBatch {
		cfg.MaxBatch = MaxBatch
	}
	f, err := newFramer(cfg.Type, cfg.FragmentSize)
	if err != nil {
		return nil, err
	}
	return &Method{cfg: cfg, log: log.Group(cfg.Log, log.TLS), frame: f}, nil
}

// Offers returns offers of PT-EAP and EAP-TNC on one session, for the
// eap.Config of a tunnel. The type in cfg is ignored; only one of the two can
// run.
func Offers(cfg Config) []eap.Offer {
	offer := func(t eap.Type) eap.Offer {
		c := cfg
		c.Type = t
		return eap.Offer{Type: t, New: func() (eap.Method, error) { return New(c) }}
	}
	return []eap.Offer{offer(eap.TypePT), offer(eap.TypeTNC)}
}

// Type returns the configured type.
func (m *Method) Type() eap.Type { return m.cfg.Type }

// Handle answers one request.
func (m *Method) Handle(req eap.Packet) (eap.Reply, error) {
	if m.packets++; m.cfg.MaxMessages > 0 && m.packets > m.cfg.MaxMessages {
		return eap.Reply{}, fmt.Errorf("%w (%d): raise eap-tnc.max_message_count", errManyPackets, m.cfg.MaxMessages)
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
		log.Infof(m.log, "%s version is v%d", m.cfg.Type, req.Data[0]&tlsframe.VersionMask)
		batch, err = m.cfg.Session.Begin(m.cfg.MaxBatch, m.transport())
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
		return eap.Reply{}, fmt.Errorf("send TNC batch of %d octets: %w (%d)", len(batch), errBatch, m.cfg.MaxBatch)
	}
	if err := m.frame.Send(batch); err != nil {
		return eap.Reply{}, err
	}
	return m.reply(), nil
}

// reply sends what is queued. Whether the session is over is the server's
// decision, which is what its Success or Failure tells; only fragments under
// way and an Accepter rule a Success out.
func (m *Method) reply() eap.Reply {
	r := eap.Reply{Data: m.frame.Next(), Decision: eap.DecisionMaySucceed}
	if a, ok := m.cfg.Session.(Accepter); m.frame.Pending() || ok && !a.Accepts() {
		r.Decision = eap.DecisionFail
	}
	return r
}

func (m *Method) transport() Transport {
	if m.cfg.Type == eap.TypePT {
		return TransportPT
	}
	return TransportTNC
}

// Explain names the likely cause of a Failure.
func (m *Method) Explain() string {
	return "the gateway's policy refused this device after its assessment; its recommendation and reasons are in the log"
}

// Close does nothing: the session is its maker's.
func (m *Method) Close() {}
