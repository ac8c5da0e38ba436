package pttls

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// ErrTLS marks failures of the TLS handshake.
var ErrTLS = errors.New("set up TLS")

// SignError is the error of a private key of ours that did not sign: crypto/tls keeps
// its text alone.
type SignError struct{ Err error }

func (e *SignError) Error() string { return fmt.Sprintf("our private key did not sign: %v", e.Err) }
func (e *SignError) Unwrap() error { return e.Err }

// clientCertificate records whether the server asked for a certificate in the
// handshake, whether one was sent, and why its key did not sign.
type clientCertificate struct {
	asked, sent bool
	signErr     error
}

// signer is the private key of the certificate, whose error is remembered.
type signer struct {
	crypto.Signer
	cert *clientCertificate
}

// Sign implements crypto.Signer.
func (s signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := s.Signer.Sign(random, digest, opts)
	if err != nil {
		s.cert.signErr = err
	}
	return sig, err
}

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
		own := *cfg.Certificate
		if k, ok := own.PrivateKey.(crypto.Signer); ok {
			own.PrivateKey = signer{k, cert}
		}
		return &own, nil
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
