package eaptls

import (
	"crypto/tls"
	"errors"

	"github.com/gotnc/gotnc/ike/eap/tlsserver"
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// TLS holds certificates, versions, and the CAs of clients (ClientCAs). A
	// client certificate is always demanded. It is cloned.
	TLS *tls.Config
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is
	// tlspeer.FragmentSize.
	FragmentSize int
	// FirstID is the identifier of the start packet.
	FirstID uint8
}

// NewServer returns the server's half; its Start makes the first request.
func NewServer(cfg ServerConfig) *tlsserver.Server {
	tc := cfg.TLS.Clone()
	tc.ClientAuth = tls.RequireAndVerifyClientCert
	return tlsserver.New(tlsserver.Config{Kind: kind, TLS: tc, FragmentSize: cfg.FragmentSize, FirstID: cfg.FirstID, Inside: &serverInside{}})
}

type serverInside struct{ tls13 bool }

func (in *serverInside) Greet(st tls.ConnectionState) ([]byte, error) {
	in.tls13 = st.Version >= tls.VersionTLS13
	return nil, nil
}

var errClientData = errors.New("client sent application data, which EAP-TLS does not have")

// Receive ends the method as the client has seen the end of the handshake; with
// TLS 1.3 the commitment message goes first.
func (in *serverInside) Receive(_ uint8, app []byte) ([]byte, bool, error) {
	switch {
	case len(app) > 0:
		return nil, false, errClientData
	case in.tls13:
		return []byte{0}, true, nil
	}
	return nil, true, nil
}
