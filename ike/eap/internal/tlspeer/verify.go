package tlspeer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/eap"
)

var errNoCertificate = errors.New("server sent no certificate")

// verify checks the server's chain and identity. It runs inside the handshake,
// before the client's Finished.
func verify(cfg *eap.TLSConfig, st tls.ConnectionState) error {
	if len(st.PeerCertificates) == 0 {
		return &eap.VerifyError{Err: errNoCertificate}
	}
	leaf := st.PeerCertificates[0]
	fail := func(err error) error { return &eap.VerifyError{Subject: leaf.Subject.String(), Err: err} }
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
		CurrentTime:   now(cfg),
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
			err = fmt.Errorf("%w (issuer %q)", err, leaf.Issuer.String())
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
		return fail(err)
	}
	return nil
}

// now returns the time for certificates; the zero time makes crypto/x509 take
// the current one.
func now(cfg *eap.TLSConfig) time.Time {
	if cfg.Now == nil {
		return time.Time{}
	}
	return cfg.Now()
}

// tlsConfig returns the client's configuration for crypto/tls.
func tlsConfig(cfg *eap.TLSConfig) *tls.Config {
	return &tls.Config{
		MinVersion:   max(cfg.MinVersion, tls.VersionTLS12),
		MaxVersion:   cfg.MaxVersion,
		ServerName:   cfg.ServerName,
		Certificates: cfg.Certificates,
		Time:         cfg.Now,
		// The identity of an EAP server need not be a host name: VerifyConnection
		// checks chain and identity, on every handshake.
		InsecureSkipVerify:     true, //nolint:gosec // see above
		VerifyConnection:       func(st tls.ConnectionState) error { return verify(cfg, st) },
		SessionTicketsDisabled: true,
	}
}
