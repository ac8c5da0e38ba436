// Package eaptls is the peer's side of EAP-TLS (RFC 5216 with TLS 1.2, RFC 9190
// with TLS 1.3).
package eaptls

import (
	"crypto/tls"
	"errors"
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
	"github.com/gotnc/gotnc/ike/eap/internal/tlspeer"
)

// ErrNoCertificate is returned by New where TLS.Certificates is empty.
var ErrNoCertificate = errors.New("EAP-TLS needs a client certificate with its private key")

var errData = errors.New("server sent application data, which EAP-TLS does not have")

// Config is what a Method needs.
type Config struct {
	// TLS says who the server has to be. Its Certificates must hold the one
	// that authenticates the client.
	TLS eap.TLSConfig
	// Tunneled says that the method runs inside of EAP-TTLS or PEAP, whose server
	// is verified: hostapd then leaves the commitment message out.
	Tunneled bool
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is 9980,
	// which fits IKE fragmentation.
	FragmentSize int
	// OmitLength leaves the Message Length out of packets that are not
	// fragmented.
	OmitLength bool
	// MaxMessages limits the EAP-TLS packets that the server may send,
	// acknowledgements included; 0 is no limit.
	MaxMessages int
	// Logger gets strongSwan's lines; nil discards.
	Logger *slog.Logger
}

// Method is the peer's side: an eap.Method, eap.Keyer, eap.Explainer and
// eap.Sizer. It belongs to one goroutine. Close it.
type Method struct {
	*conn
	in inside
}

type conn = tlspeer.Conn

// New returns a Method that waits for the server's start packet.
func New(cfg Config) (*Method, error) {
	if len(cfg.TLS.Certificates) == 0 {
		return nil, ErrNoCertificate
	}
	m := &Method{in: inside{tunneled: cfg.Tunneled}}
	var err error
	m.conn, err = tlspeer.New(tlskind.TLS, tlspeer.Config{
		TLS: cfg.TLS, FragmentSize: cfg.FragmentSize, Length: !cfg.OmitLength,
		MaxMessages: cfg.MaxMessages, Logger: cfg.Logger,
	}, &m.in)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Offer returns the offer of this method for an eap.Config.
func Offer(cfg Config) eap.Offer {
	return eap.OfferOf(eap.TypeTLS, func() (*Method, error) { return New(cfg) })
}

// Explain returns the probable cause of a Failure.
func (m *Method) Explain() error {
	if cause := m.conn.Explain(); cause != nil {
		return cause
	}
	return eap.ErrCertificate
}

// inside knows whether the server has accepted the client.
type inside struct {
	tunneled  bool
	tls13     bool
	committed bool // "commitment message" of RFC 9190 section 2.5
}

func (in *inside) Enter(st tls.ConnectionState) { in.tls13 = st.Version >= tls.VersionTLS13 }

func (in *inside) First() ([]byte, error) { return nil, nil }

// Receive accepts the commitment message, one octet 0: with TLS 1.3 the server
// judges the client's certificate after its own last handshake message.
func (in *inside) Receive(_ uint8, app []byte) ([]byte, error) {
	if !in.tls13 || in.committed || len(app) != 1 || app[0] != 0 {
		return nil, errData
	}
	in.committed = true
	return nil, nil
}

// Accepts reports whether a Success may come: with TLS 1.2 the server's
// Finished says that the client's certificate was accepted.
func (in *inside) Accepts() bool { return !in.tls13 || in.committed || in.tunneled }
