package gateway

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	ikecrypto "github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
)

// tlsConfig is the configuration of the EAP-TTLS server.
func (g *Gateway) tlsConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{g.certificate()},
		MinVersion:   g.cfg.MinTLS, MaxVersion: g.cfg.MaxTLS,
		SessionTicketsDisabled: true,
	}
}

// ownOctets returns what our AUTH payload covers.
func (c *client) ownOctets() []byte {
	return ikecrypto.SignedOctets(c.prf, c.keys.Pr, c.initResponse, c.ni, c.idr.Body(), c.intermediate.octets)
}

// clientOctets are what an AUTH payload of the client covers.
func (c *client) clientOctets() []byte {
	return ikecrypto.SignedOctets(c.prf, c.keys.Pi, c.initRequest, c.nr, c.idi.Body(), c.intermediate.octets)
}

// proof returns what proves the gateway to a client that proved itself without
// EAP: as the client did.
func (c *client) proof(shared bool) ([]message.Payload, error) {
	if !shared {
		return c.signature()
	}
	data := ikecrypto.AuthShared(c.prf, c.g.cfg.PSK, c.ownOctets())
	if c.g.cfg.Faults.BadAuth {
		data[0] ^= 0x80
	}
	return []message.Payload{&message.Auth{Method: message.AuthSharedKey, Data: data}}, nil
}

// signature returns CERT and AUTH payloads that prove the gateway's identity
// with its certificate, with hashes that the client can verify (RFC 7427), else
// as RFC 7296 and RFC 4754 have it.
func (c *client) signature() ([]message.Payload, error) {
	cert := c.g.certificate()
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("sign AUTH: %T cannot sign", cert.PrivateKey)
	}
	auth, _, err := signature.Sign(c.g.cfg.Rand, signer, c.ownOctets(), signature.Options{PeerHashes: c.hashes, SHA1: true})
	if err != nil {
		return nil, err
	}
	if c.g.cfg.Faults.BadAuth {
		auth.Data[len(auth.Data)-1] ^= 1
	}
	var ps []message.Payload
	for _, der := range cert.Certificate {
		ps = append(ps, &message.Cert{Encoding: message.CertX509Signature, Data: der})
	}
	return append(ps, auth), nil
}

// verifyClient checks the AUTH payload of a client that uses no EAP, and
// reports whether it is made with the preshared key.
func (c *client) verifyClient(auth *message.Auth, m *message.Message) (shared bool, err error) {
	if auth.Method == message.AuthSharedKey {
		if len(c.g.cfg.PSK) == 0 || !ikecrypto.VerifyShared(c.prf, c.g.cfg.PSK, c.clientOctets(), auth.Data) {
			return true, fmt.Errorf("the preshared key of '%s' is another one", c.idi)
		}
		return true, nil
	}
	if c.g.cfg.ClientCAs == nil {
		return false, errors.New("the client signs, but no CA is trusted for clients")
	}
	var leaf *x509.Certificate
	links := x509.NewCertPool()
	for _, p := range message.All[*message.Cert](m.Payloads) {
		cert, err := x509.ParseCertificate(p.Data)
		switch {
		case err != nil:
			return false, fmt.Errorf("parse the certificate of '%s': %w", c.idi, err)
		case leaf == nil:
			leaf = cert
		default:
			links.AddCert(cert)
		}
	}
	if leaf == nil {
		return false, fmt.Errorf("'%s' sent no certificate", c.idi)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.g.cfg.ClientCAs, Intermediates: links, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return false, fmt.Errorf("verify the certificate of '%s': %w", c.idi, err)
	}
	if identity.Held(leaf, c.idi) == identity.None {
		return false, fmt.Errorf("the certificate %q does not hold '%s'", leaf.Subject, c.idi)
	}
	if _, err := signature.Verify(leaf.PublicKey, auth, c.clientOctets()); err != nil {
		return false, fmt.Errorf("the signature of '%s': %w", c.idi, err)
	}
	return false, nil
}
