package main

import (
	"crypto/tls"

	"github.com/gotnc/gotnc/internal/config/swanctl"
)

// ttlsCertificates loads local.certs with the private keys that fit, for
// gateways that ask for a certificate inside EAP-TTLS (request_peer_auth).
func (c *connection) ttlsCertificates(l *swanctl.Round) ([]tls.Certificate, error) {
	var out []tls.Certificate
	for _, file := range l.Certs {
		o, err := c.store().Of(file)
		if err != nil {
			return nil, l.Pos.Errorf("local.certs of connection %q: %w", c.conn.Name, err)
		}
		own := tls.Certificate{Certificate: [][]byte{o.Cert.Raw}, Leaf: o.Cert, PrivateKey: o.Key}
		for _, ca := range o.Chain {
			own.Certificate = append(own.Certificate, ca.Raw)
		}
		out = append(out, own)
	}
	return out, nil
}
