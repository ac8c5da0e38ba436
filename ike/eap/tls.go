package eap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// TLSConfig says how the methods on TLS (EAP-TLS, EAP-TTLS, PEAP) verify the
// server, and how the client authenticates itself. Either Verify or Roots has
// to be set; with Roots, ServerName or MatchIdentity too.
type TLSConfig struct {
	// Roots are the CAs trusted for the server's certificate. There is no
	// default.
	Roots *x509.CertPool
	// ServerName is the DNS name or IP address that the server's certificate
	// has to carry as subjectAltName, unless MatchIdentity is set.
	ServerName string
	// MatchIdentity, where set, decides instead of ServerName whether the
	// certificate, whose chain is verified already, is the expected server's:
	// for identities that are e-mail addresses or distinguished names.
	MatchIdentity func(leaf *x509.Certificate) error
	// Verify, where set, decides alone: on the certificates that the server
	// sent, its own first, and on the OCSP response that it stapled, nil where
	// it did not. Roots, ServerName, MatchIdentity and ExtKeyUsages are then not
	// used. Verify may block.
	Verify func(certs []*x509.Certificate, ocsp []byte) error
	// ExtKeyUsages are the key usages of which the chain needs one; empty is
	// ServerAuth. A certificate without that extension has all.
	ExtKeyUsages []x509.ExtKeyUsage
	// Certificates authenticate the client where the server asks.
	Certificates []tls.Certificate
	// MinVersion and MaxVersion limit TLS; 0 is TLS 1.2, and no limit. Nothing
	// below TLS 1.2 is spoken.
	MinVersion, MaxVersion uint16
	// Now is the clock for certificates; nil is time.Now.
	Now func() time.Time
}

// VerifyError says why the TLS server was not accepted. No octet of the inner
// authentication has been sent. Err wraps the error of crypto/x509 where that
// decided (x509.UnknownAuthorityError, x509.HostnameError), else the one that
// Verify or MatchIdentity returned.
type VerifyError struct {
	Subject string // of the server's certificate, "" where it sent none
	Err     error
}

func (e *VerifyError) Error() string {
	if e.Subject == "" {
		return fmt.Sprintf("verify TLS server: %v", e.Err)
	}
	return fmt.Sprintf("verify TLS server certificate %q: %v", e.Subject, e.Err)
}

func (e *VerifyError) Unwrap() error { return e.Err }

// Causes where a TLSConfig trusts nobody.
var (
	ErrNoRoots    = errors.New("no trusted CA configured for the EAP server")
	ErrNoIdentity = errors.New("no expected identity configured for the EAP server")
)
