// Package eaptls is EAP-TLS (RFC 5216 with TLS 1.2, RFC 9190 with TLS 1.3): the
// peer's side, and the server's for gateways and tests.
package eaptls

import (
	"crypto/tls"
	"errors"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tlspeer"
	"github.com/gotnc/gotnc/ike/eap/tlsstep"
)

var (
	errNoOwn = errors.New("EAP-TLS needs a certificate of ours with its private key: set local.certs")
	errData  = errors.New("server sent application data, which EAP-TLS does not have")
)

var kind = tlspeer.Kind{Type: eap.TypeTLS, Label: tlsstep.LabelTLS, Version: -1, LengthAlways: true}

// Config is what a Method needs. Certificates must hold the one that
// authenticates us.
type Config struct {
	tlspeer.Config
	// Tunneled says that the method runs inside of EAP-TTLS or PEAP, whose server
	// is verified: hostapd then leaves the commitment message away.
	Tunneled bool
}

// Method is the peer's side. It belongs to one goroutine. Close it.
type Method struct {
	*tlspeer.Conn
	in inside
}

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	if len(cfg.Certificates) == 0 {
		return nil, errNoOwn
	}
	m := &Method{in: inside{tunneled: cfg.Tunneled}}
	var err error
	if m.Conn, err = tlspeer.New(kind, cfg.Config, &m.in); err != nil {
		return nil, err
	}
	return m, nil
}

// Offer returns the offer of this method for an eap.Config.
func Offer(cfg Config) eap.Offer {
	return eap.OfferOf(eap.TypeTLS, func() (*Method, error) { return New(cfg) })
}

// Explain names the likely cause of a Failure.
func (m *Method) Explain() string {
	if s := m.Conn.Explain(); s != "" {
		return s
	}
	return "the server refused our certificate; its log says why: compare its CA certificates, and the identity, with local.certs of this connection"
}

// inside knows whether the server is content with us.
type inside struct {
	tunneled  bool
	tls13     bool
	committed bool // "commitment message" of RFC 9190 §2.5
}

func (in *inside) Enter(st tls.ConnectionState) { in.tls13 = st.Version >= tls.VersionTLS13 }

func (in *inside) First() ([]byte, error) { return nil, nil }

// Receive takes the commitment message, one octet 0: with TLS 1.3 the server
// judges our certificate after its own last handshake message.
func (in *inside) Receive(_ uint8, app []byte) ([]byte, error) {
	if !in.tls13 || in.committed || len(app) != 1 || app[0] != 0 {
		return nil, errData
	}
	in.committed = true
	return nil, nil
}

// Accepts: with TLS 1.2 the server's Finished says that our certificate was
// accepted.
func (in *inside) Accepts() bool { return !in.tls13 || in.committed || in.tunneled }
