// Package ttls is EAP-TTLSv0 (RFC 5281, with TLS 1.3 RFC 9427): the peer's
// side, and the half of a server that framing, TLS and AVPs are.
package ttls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlspeer"
	"github.com/gotnc/gotnc/ike/eap/tlsstep"
	"github.com/gotnc/gotnc/internal/base/log"
)

var errInnerEnd = errors.New("server ended the inner authentication inside the tunnel")

var kind = tlspeer.Kind{Type: eap.TypeTTLS, Label: tlsstep.LabelTTLS, LengthAlways: true}

// Config is what a Method needs.
type Config = tlspeer.TunnelConfig

// Method is the peer's side. It belongs to one goroutine. Close it.
type Method struct{ *tlspeer.Tunnel }

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	t, err := tlspeer.NewTunnel(kind, cfg, func(p *eap.Peer) tlspeer.Inside {
		return &inside{log: log.Group(cfg.Log, log.IKE), peer: p}
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
	avps avpStream
}

func (in *inside) Enter(tls.ConnectionState) {}

// First says who we are: the client speaks first, unless the server asked for
// the identity together with its Finished (RFC 5281 §11.2.1).
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
	// (RFC 9427 §3.2): the answer is an empty packet.
	if len(app) == 1 && app[0] == 0 && in.avps.idle() {
		return nil, nil
	}
	packet, err := in.avps.push(app)
	if err != nil {
		return nil, err
	}
	if packet == nil {
		in.log.Debug("need more AVP data")
		return nil, nil
	}
	in.say("received", packet)
	response, status, err := in.peer.Handle(packet)
	if err != nil {
		return nil, fmt.Errorf("inside the tunnel: %w", err)
	}
	if status != eap.StatusContinue {
		return nil, errInnerEnd
	}
	return in.wrap(response)
}

// Accepts: no inner method is half done.
func (in *inside) Accepts() bool {
	inner := in.peer.Method() == eap.TypeNone || in.peer.Decision() == eap.DecisionMaySucceed
	return inner && in.avps.idle()
}

func (in *inside) wrap(packet []byte) ([]byte, error) {
	in.say("sending", packet)
	return AppendEAP(nil, packet)
}

func (in *inside) say(verb string, packet []byte) {
	p, err := eap.Parse(packet)
	if err != nil {
		return // the inner Peer reports it
	}
	log.Infof(in.log, "%s tunneled EAP-TTLS AVP [%s]", verb, p)
}
