// Package eaptest lets a peer and a server of an EAP method talk, for tests.
package eaptest

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/testpki"
)

// Server is the server's half of a method.
type Server interface {
	Start() []byte
	Handle(response []byte) (packet []byte, status eap.Status, err error)
	MSK() []byte
	Close()
}

// Run is what a conversation came to.
type Run struct {
	Exchanges            int
	Status               eap.Status // of the peer
	ClientErr, ServerErr error
	Largest              [2]int // EAP packet of server and client, octets
}

// most is how many exchanges a conversation may take.
const most = 2000

// Converse runs a conversation to its end. It closes nothing.
func Converse(t testing.TB, peer *eap.Peer, server Server) *Run {
	t.Helper()
	r := &Run{}
	packet := server.Start()
	for ; r.Exchanges < most; r.Exchanges++ {
		r.Largest[0] = max(r.Largest[0], len(packet))
		response, status, err := peer.Handle(packet)
		r.Status = status
		if status != eap.StatusContinue {
			r.ClientErr = err
			return r
		}
		require.NoError(t, err)
		repeated, status, err := peer.Handle(packet)
		require.NoError(t, err)
		require.Equal(t, eap.StatusContinue, status)
		require.Equal(t, response, repeated, "a repeated request gets the same response")
		r.Largest[1] = max(r.Largest[1], len(response))
		if packet, _, err = server.Handle(response); err != nil {
			r.ServerErr = err
		}
	}
	t.Fatal("conversation without end")
	return nil
}

// ServerName is in the certificate of a PKI's server.
const ServerName = "moon.strongswan.org"

// PKI is a CA with certificates of a server and of a client.
type PKI struct {
	CA             *testpki.CA
	Server, Client tls.Certificate
}

// NewPKI makes one.
func NewPKI(t testing.TB) *PKI {
	t.Helper()
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	p := &PKI{CA: ca}
	p.Server, err = ca.Issue(ServerName, testpki.ECDSA, nil)
	require.NoError(t, err)
	p.Client, err = ca.Issue("carol", testpki.ECDSA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	require.NoError(t, err)
	return p
}

// Roots returns the CA as pool.
func (p *PKI) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.CA.Cert)
	return pool
}

// Peer is a peer's configuration that trusts the server.
func (p *PKI) Peer() eap.TLSConfig {
	return eap.TLSConfig{Roots: p.Roots(), ServerName: ServerName}
}

// TLS is a server's configuration for one TLS version.
func (p *PKI) TLS(version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.Server}, ClientCAs: p.Roots(), MinVersion: version, MaxVersion: version}
}

// Versions are the TLS versions that EAP methods speak.
var Versions = map[string]uint16{"TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}
