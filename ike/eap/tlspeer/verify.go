package tlspeer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// VerifyError says why the TLS server was not accepted. No octet of the inner
// authentication has been sent.
type VerifyError struct {
	Subject string // of the server's certificate, "" where there was none
	Err     error
}

func (e *VerifyError) Error() string {
	if e.Subject == "" {
		return fmt.Sprintf("verify TLS server: %v", e.Err)
	}
	return fmt.Sprintf("verify TLS server certificate %q: %v", e.Subject, e.Err)
}

func (e *VerifyError) Unwrap() error { return e.Err }

var errNoCertificate = errors.New("server sent no certificate")

// Causes where a Config trusts nobody.
var (
	ErrNoRoots    = errors.New("no trusted CA configured; name the CA of the gateway's EAP server in the configuration")
	ErrNoIdentity = errors.New("no expected server identity configured; set the gateway's identity or aaa_id")
)

// verify checks the server's chain and identity. It runs inside the handshake,
// before the client's Finished.
func verify(cfg *Config, st tls.ConnectionState) error {
	if len(st.PeerCertificates) == 0 {
		return &VerifyError{Err: errNoCertificate}
	}
	leaf := st.PeerCertificates[0]
	fail := func(err error) error { return &VerifyError{Subject: leaf.Subject.String(), Err: err} }
	if cfg.Verify != nil {
		if err := cfg.Verify(st.PeerCertificates, st.OCSPResponse); err != nil {
			return fail(err)
		}
		return nil
	}
	opts := x509.VerifyOptions{
		Roots:         cfg.Roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     cfg.ExtKeyUsages,
		CurrentTime:   cfg.now(),
	}
	if len(opts.KeyUsages) == 0 {
		opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, c := range st.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(opts); err != nil {
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			err = fmt.Errorf("%w (issuer %q); configure the CA that issued it as trusted", err, leaf.Issuer.String())
		}
		return fail(err)
	}
	if cfg.MatchIdentity != nil {
		if err := cfg.MatchIdentity(leaf); err != nil {
			return fail(err)
		}
		return nil
	}
	if err := leaf.VerifyHostname(cfg.ServerName); err != nil {
		return fail(fmt.Errorf("%w; set aaa_id to the identity of the EAP server", err))
	}
	return nil
}

func (c *Config) now() time.Time {
	if c.Time == nil {
		return time.Time{} // x509 and tls take the current time
	}
	return c.Time()
}

// tlsConfig returns the client's configuration for crypto/tls.
func (c *Config) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:   max(c.MinVersion, tls.VersionTLS12),
		MaxVersion:   c.MaxVersion,
		ServerName:   c.ServerName,
		Certificates: c.Certificates,
		Time:         c.Time,
		// The identity of an EAP server need not be a host name: VerifyConnection
		// checks chain and identity, on every handshake.
		InsecureSkipVerify:     true, //nolint:gosec // see above
		VerifyConnection:       func(st tls.ConnectionState) error { return verify(c, st) },
		SessionTicketsDisabled: true,
	}
}
