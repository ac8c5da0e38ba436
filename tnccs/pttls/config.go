package pttls

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Time limits.
const (
	// DefaultSetupTimeout limits TCP, TLS and the negotiation together.
	DefaultSetupTimeout = 30 * time.Second
	// DefaultIdleTimeout limits the wait for the next batch, and the time to send
	// one: verifiers ask databases and other servers.
	DefaultIdleTimeout = 2 * time.Minute
	// closeGrace limits the time in which the server closes after CLOSE.
	closeGrace = 2 * time.Second
)

// Config configures a connection. Roots and ServerName are required.
type Config struct {
	// Roots are the CAs that may have issued the server's certificate.
	Roots *x509.CertPool
	// ServerName is the DNS name or IP address that the certificate must hold as
	// subjectAltName, in full: neither a wildcard nor the common name matches (RFC
	// 6876 section 5).
	ServerName string
	// Verify, unless nil, may refuse the verified certificates of the server, end
	// entity first; ocsp is the stapled OCSP response, or nil. This package itself
	// checks no revocation.
	Verify func(certs []*x509.Certificate, ocsp []byte) error
	// Certificate authenticates this end inside TLS; nil: none.
	Certificate *tls.Certificate
	// Identity and Secret authenticate this end by SASL PLAIN where the server
	// asks for it; without Secret PLAIN is not used.
	Identity string
	Secret   []byte
	// MinVersion and MaxVersion limit the version of TLS; 0 means TLS 1.2, and the latest.
	MinVersion, MaxVersion uint16
	// SetupTimeout and IdleTimeout: 0 means the defaults above.
	SetupTimeout, IdleTimeout time.Duration
	// Now is the clock of the certificate check; nil means time.Now.
	Now func() time.Time
	// Logger gets the log; nil discards.
	Logger *slog.Logger
}

// setup returns the time limit of the setup.
func (cfg *Config) setup() time.Duration {
	if cfg.SetupTimeout > 0 {
		return cfg.SetupTimeout
	}
	return DefaultSetupTimeout
}

// idle returns the time limit of a wait.
func (cfg *Config) idle() time.Duration {
	if cfg.IdleTimeout > 0 {
		return cfg.IdleTimeout
	}
	return DefaultIdleTimeout
}

// tnc returns the logger of the connection.
func (cfg *Config) tnc() *slog.Logger { return log.Group(cfg.Logger, log.TNC) }
