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
	// DefaultSetupTimeout bounds TCP, TLS and the negotiation together.
	DefaultSetupTimeout = 30 * time.Second
	// DefaultIdleTimeout bounds the wait for the next batch and for the taking of
	// one: verifiers ask databases and other servers.
	DefaultIdleTimeout = 2 * time.Minute
	// closeGrace is how long the server may take to close after CLOSE.
	closeGrace = 2 * time.Second
)

// Config says whom to trust and who we are. Roots and ServerName are required.
type Config struct {
	// Roots are the CAs that may have issued the server's certificate.
	Roots *x509.CertPool
	// ServerName is the DNS name or IP address that the certificate must hold as
	// subjectAltName, in full: neither a wildcard nor the common name counts (§5).
	ServerName string
	// Verify, where set, has the last word on the server's certificates, end
	// entity first, with the OCSP response that came with them, or nil: what is
	// revoked is nothing that this package knows of.
	Verify func(certs []*x509.Certificate, ocsp []byte) error
	// Certificate authenticates this end inside TLS; nil: none.
	Certificate *tls.Certificate
	// Identity and Secret authenticate this end by SASL PLAIN where the server
	// asks for it; without Secret that is refused.
	Identity string
	Secret   []byte
	// MinVersion and MaxVersion bound TLS; 0 means TLS 1.2, and the latest.
	MinVersion, MaxVersion uint16
	// SetupTimeout and IdleTimeout: 0 means the defaults above.
	SetupTimeout, IdleTimeout time.Duration
	// Time is the clock of the certificate check; nil means time.Now.
	Time func() time.Time
	// Logger takes the log; nil discards.
	Logger *slog.Logger
}

func (cfg *Config) setup() time.Duration {
	if cfg.SetupTimeout > 0 {
		return cfg.SetupTimeout
	}
	return DefaultSetupTimeout
}

func (cfg *Config) idle() time.Duration {
	if cfg.IdleTimeout > 0 {
		return cfg.IdleTimeout
	}
	return DefaultIdleTimeout
}

func (cfg *Config) tnc() *slog.Logger { return log.Group(cfg.Logger, log.TNC) }
