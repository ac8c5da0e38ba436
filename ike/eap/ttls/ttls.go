package ttls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/avp"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/internal/tlspeer"
	"github.com/gotnc/gotnc/internal/base/log"
)

var errInnerEnd = errors.New("server ended the inner authentication inside the tunnel")

// Config is what a Method needs.
type Config struct {
	// TLS says who the server has to be.
	TLS eap.TLSConfig
	// Inner is the authentication inside the tunnel; its Sequence is implied, and
	// a Logger that is nil is that of the Config.
	Inner eap.Config
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is 9980,
	// which fits IKE fragmentation.
	FragmentSize int
	// OmitLength leaves the Message Length out of packets that are not
	// fragmented.
	OmitLength bool
	// MaxMessages limits the EAP-TTLS packets that the server may send,
	// acknowledgements included; 0 is no limit.
	MaxMessages int
	// Logger gets strongSwan's lines; nil discards.
	Logger *slog.Logger
}

// Method is the peer's side: an eap.Method, eap.Keyer, eap.Explainer and
// eap.Sizer. It belongs to one goroutine. Close it.
type Method struct{ *tunnel }

type tunnel = tlspeer.Tunnel

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	t, err := tlspeer.NewTunnel(tlskind.TTLS, tlspeer.TunnelConfig{Config: tlspeer.Config{
		TLS: cfg.TLS, FragmentSize: cfg.FragmentSize, Length: !cfg.OmitLength,
		MaxMessages: cfg.MaxMessages, Logger: cfg.Logger,
	}, Inner: cfg.Inner}, func(p *eap.Peer) tlspeer.Inside {
		return &inside{log: log.Group(cfg.Logger, log.IKE), peer: p}
	})
	if err != nil {
		return nil, err
	}
	return &Method{t}, nil
}

// Offer returns the offer of this method for an eap.Config.
func Offer(cfg Config) eap.Offer {
	return eap.OfferOf(eap.TypeTTLS, func() (*Method, error) { return New(cfg) })
}

// inside is what goes on in the tunnel: EAP packets in AVPs.
type inside struct {
	log  *slog.Logger
	peer *eap.Peer
	avps avp.Stream
}

func (in *inside) Enter(tls.ConnectionState) {}

// First returns the client's identity: the client speaks first, unless the server asked for
// the identity together with its Finished (RFC 5281 section 11.2.1).
func (in *inside) First() ([]byte, error) {
	p, err := in.peer.IdentityResponse()
	if err != nil {
		return nil, err
	}
	return in.wrap(p)
}

// Receive handles application data of the server.
func (in *inside) Receive(_ uint8, app []byte) ([]byte, error) {
	// A single octet 0 is the protected success indication of TLS 1.3
	// (RFC 9427 section 3.2): the answer is an empty packet.
	if len(app) == 1 && app[0] == 0 && in.avps.Idle() {
		return nil, nil
	}
	packet, err := in.avps.Push(app)
	if err != nil {
		return nil, err
	}
	if packet == nil {
		in.log.Debug("need more AVP data")
		return nil, nil
	}
	in.logPacket("received", packet)
	response, status, err := in.peer.Handle(packet)
	if err != nil {
		return nil, fmt.Errorf("inside the tunnel: %w", err)
	}
	if status != eap.StatusContinue {
		return nil, errInnerEnd
	}
	return in.wrap(response)
}

// Accepts reports whether no inner method is half done.
func (in *inside) Accepts() bool {
	inner := in.peer.Method() == eap.TypeNone || in.peer.Decision() == eap.DecisionMaySucceed
	return inner && in.avps.Idle()
}

func (in *inside) wrap(packet []byte) ([]byte, error) {
	in.logPacket("sending", packet)
	return avp.AppendEAP(nil, packet)
}

func (in *inside) logPacket(verb string, packet []byte) {
	p, err := eap.Parse(packet)
	if err != nil {
		return // the inner Peer reports it
	}
	log.Infof(in.log, "%s tunneled EAP-TTLS AVP [%s]", verb, p)
}
