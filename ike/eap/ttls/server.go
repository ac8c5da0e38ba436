package ttls

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap/tlsserver"
)

// Inner is the authentication that a Server runs inside its tunnel.
type Inner interface {
	// Handle takes one inner EAP response and returns the next inner request.
	// The first response is the client's Identity. A nil request ends the
	// authentication with success, an error with failure.
	Handle(response []byte) (request []byte, err error)
}

// InnerFunc is a function as Inner.
type InnerFunc func(response []byte) ([]byte, error)

// Handle calls f.
func (f InnerFunc) Handle(response []byte) ([]byte, error) { return f(response) }

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// TLS holds certificates and versions; it is cloned.
	TLS   *tls.Config
	Inner Inner
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is
	// tlspeer.FragmentSize.
	FragmentSize int
	// FirstID is the identifier of the start packet.
	FirstID uint8
	// Greeting, where set, is an inner EAP request that leaves together with
	// the end of the handshake (strongSwan's phase2_piggyback): TLS 1.2 only.
	Greeting []byte
	// ProtectedSuccess sends the octet of RFC 9427 §3.2 at the end where the
	// connection is TLS 1.3.
	ProtectedSuccess bool
}

var errInnerNoData = errors.New("client sent nothing where an inner response was due")

// Server is the server's half for gateways and tests.
type Server = tlsserver.Server

// NewServer returns a Server; its Start makes the first request.
func NewServer(cfg ServerConfig) *Server {
	return tlsserver.New(tlsserver.Config{Kind: kind, TLS: cfg.TLS, FragmentSize: cfg.FragmentSize, FirstID: cfg.FirstID,
		Inside: &serverInside{cfg: cfg}})
}

// serverInside are EAP packets in AVPs.
type serverInside struct {
	cfg   ServerConfig
	avps  avpStream
	tls13 bool
}

func (in *serverInside) Greet(st tls.ConnectionState) ([]byte, error) {
	in.tls13 = st.Version >= tls.VersionTLS13
	if in.cfg.Greeting == nil || in.tls13 {
		return nil, nil
	}
	return AppendEAP(nil, in.cfg.Greeting)
}

func (in *serverInside) Receive(_ uint8, app []byte) ([]byte, bool, error) {
	if len(app) == 0 {
		return nil, false, errInnerNoData
	}
	packet, err := in.avps.push(app)
	if err != nil || packet == nil {
		return nil, false, err
	}
	next, err := in.cfg.Inner.Handle(packet)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("inner authentication: %w", err)
	case next != nil:
		say, err := AppendEAP(nil, next)
		return say, false, err
	case in.cfg.ProtectedSuccess && in.tls13:
		return []byte{0}, true, nil
	}
	return nil, true, nil
}
