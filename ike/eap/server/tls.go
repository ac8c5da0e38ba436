package server

import (
	"crypto/tls"
	"errors"

	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
)

// NewTLS returns the server's half of EAP-TLS; its Start makes the first
// request. Config.TLS holds the CAs of clients (ClientCAs); a client
// certificate is always demanded.
func NewTLS(cfg Config) *Server {
	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	return newServer(tlskind.TLS, cfg, &tlsInside{})
}

type tlsInside struct{ tls13 bool }

func (in *tlsInside) Greet(st tls.ConnectionState) ([]byte, error) {
	in.tls13 = st.Version >= tls.VersionTLS13
	return nil, nil
}

var errClientData = errors.New("client sent application data, which EAP-TLS does not have")

// Receive ends the method as the client has seen the end of the handshake; with
// TLS 1.3 the commitment message goes first.
func (in *tlsInside) Receive(_ uint8, app []byte) ([]byte, bool, error) {
	switch {
	case len(app) > 0:
		return nil, false, errClientData
	case in.tls13:
		return []byte{0}, true, nil
	}
	return nil, true, nil
}
