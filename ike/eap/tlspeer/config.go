// Package tlspeer is what the peers of the EAP methods on TLS share (EAP-TLS,
// EAP-TTLS, PEAP): the verification of the server, and a TLS connection that is
// framed in EAP packets and stepped flight by flight. What goes on inside the
// tunnel is the method's.
package tlspeer

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"
)

// FragmentSize is the default of the largest EAP packet, in octets: what IKE
// fragmentation carries. A charon gateway takes IKE messages of 10,000 octets
// (max_packet), the headers of payloads among them, and each fragment costs an
// IKE exchange.
const FragmentSize = 9980

// Config is what a Conn needs.
type Config struct {
	// Roots are the CAs trusted for the server's certificate. There is no
	// default: without them or Verify New fails.
	Roots *x509.CertPool
	// ServerName is the DNS name or IP address that the server's certificate
	// has to carry as subjectAltName, unless MatchIdentity is set.
	ServerName string
	// MatchIdentity, where set, decides instead of ServerName whether the
	// certificate, whose chain is verified already, is the expected server's:
	// for identities that are e-mail addresses or distinguished names.
	MatchIdentity func(leaf *x509.Certificate) error
	// Verify, where set, decides alone: on the certificates that the server sent,
	// its own first, and on the OCSP response that it stapled, nil where it did
	// not. Roots, ServerName and MatchIdentity are then of no meaning. It may
	// block, for what it fetches.
	Verify func(certs []*x509.Certificate, ocsp []byte) error
	// ExtKeyUsages are the key usages of which the chain needs one; empty is
	// ServerAuth. A certificate without that extension has all.
	ExtKeyUsages []x509.ExtKeyUsage
	// Certificates authenticate the client where the server asks.
	Certificates []tls.Certificate
	// MinVersion and MaxVersion limit TLS; 0 is TLS 1.2, and no limit. Nothing
	// below TLS 1.2 is spoken.
	MinVersion, MaxVersion uint16
	// Time is the clock for certificates; nil is time.Now.
	Time func() time.Time
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is the
	// constant.
	FragmentSize int
	// Log gets strongSwan's lines; nil discards.
	Log *slog.Logger
}
