package server

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap/internal/avp"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
)

// TTLSInner is the authentication that the server of EAP-TTLS runs inside its
// tunnel.
type TTLSInner interface {
	// Handle takes one inner EAP response and returns the next inner request.
	// The first response is the client's Identity. A nil request ends the
	// authentication with success, an error with failure.
	Handle(response []byte) (request []byte, err error)
}

// TTLSInnerFunc is a function as TTLSInner.
type TTLSInnerFunc func(response []byte) ([]byte, error)

// Handle calls f.
func (f TTLSInnerFunc) Handle(response []byte) ([]byte, error) { return f(response) }

// TTLSConfig is what the server of EAP-TTLS needs.
type TTLSConfig struct {
	Config
	Inner TTLSInner
	// Greeting, where set, is an inner EAP request that leaves together with
	// the end of the handshake (strongSwan's phase2_piggyback): TLS 1.2 only.
	Greeting []byte
	// ProtectedSuccess sends the octet of RFC 9427 section 3.2 at the end where the
	// connection is TLS 1.3.
	ProtectedSuccess bool
}

var errInnerNoData = errors.New("client sent nothing where an inner response was due")

// NewTTLS returns the server's half of EAP-TTLS; its Start makes the first
// request.
func NewTTLS(cfg TTLSConfig) *Server {
	return newServer(tlskind.TTLS, cfg.Config, &ttlsInside{cfg: cfg})
}

// ttlsInside is EAP packets in AVPs.
type ttlsInside struct {
	cfg   TTLSConfig
	avps  avp.Stream
	tls13 bool
}

func (in *ttlsInside) Greet(st tls.ConnectionState) ([]byte, error) {
	in.tls13 = st.Version >= tls.VersionTLS13
	if in.cfg.Greeting == nil || in.tls13 {
		return nil, nil
	}
	return avp.AppendEAP(nil, in.cfg.Greeting)
}

func (in *ttlsInside) Receive(_ uint8, app []byte) ([]byte, bool, error) {
	if len(app) == 0 {
		return nil, false, errInnerNoData
	}
	packet, err := in.avps.Push(app)
	if err != nil || packet == nil {
		return nil, false, err
	}
	next, err := in.cfg.Inner.Handle(packet)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("inner authentication: %w", err)
	case next != nil:
		answer, err := avp.AppendEAP(nil, next)
		return answer, false, err
	case in.cfg.ProtectedSuccess && in.tls13:
		return []byte{0}, true, nil
	}
	return nil, true, nil
}
