package pttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// ErrTLS marks failures of the TLS handshake.
var ErrTLS = errors.New("set up TLS")

// clientCertificate records whether the server asked for a certificate in the
// handshake, and whether one was sent.
type clientCertificate struct{ asked, sent bool }

// tls returns the configuration of the handshake, which fills cert.
func (cfg *Config) tls(cert *clientCertificate) *tls.Config {
	t := &tls.Config{
		RootCAs:                cfg.Roots,
		ServerName:             strings.TrimSuffix(cfg.ServerName, "."),
		MinVersion:             max(cfg.MinVersion, tls.VersionTLS12),
		MaxVersion:             cfg.MaxVersion,
		Time:                   cfg.Now,
		SessionTicketsDisabled: true,
		Renegotiation:          tls.RenegotiateNever,
		VerifyConnection: func(s tls.ConnectionState) error {
			if err := exactName(s.PeerCertificates[0], strings.TrimSuffix(cfg.ServerName, ".")); err != nil || cfg.Verify == nil {
				return err
			}
			return cfg.Verify(s.PeerCertificates, s.OCSPResponse)
		},
	}
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert.asked = true
		if cfg.Certificate == nil {
			return &tls.Certificate{}, nil
		}
		// Even if the server lists other CAs: it may accept more than it lists, and
		// its refusal is a clearer answer than an empty certificate.
		cert.sent = true
		return cfg.Certificate, nil
	}
	return t
}

// exactName refuses a certificate that only a wildcard makes match.
func exactName(cert *x509.Certificate, name string) error {
	if net.ParseIP(strings.Trim(name, "[]")) != nil {
		return nil // crypto/tls has compared the addresses
	}
	for _, n := range cert.DNSNames {
		if strings.EqualFold(strings.TrimSuffix(n, "."), name) {
			return nil
		}
	}
	return fmt.Errorf("the certificate holds %q, which does not name %q itself: PT-TLS takes no wildcards", cert.DNSNames, name)
}
