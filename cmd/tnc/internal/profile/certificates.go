package profile

import (
	"crypto/tls"

	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
)

// tlsCertificates loads local.certs, or where there are none those that hold
// local.id, with the private keys that fit, for gateways that ask for a
// certificate inside EAP-TTLS (request_peer_auth).
func (b *Builder) tlsCertificates(l *swanctl.Round) ([]tls.Certificate, error) {
	var all []credential.KeyPair
	for _, file := range l.Certs {
		o, err := b.store().Of(file)
		if err != nil {
			return nil, b.keyError(l, "local.certs of connection", err)
		}
		all = append(all, o)
	}
	if id, named, err := namedIdentity(l); len(all) == 0 && named && err == nil {
		for _, o := range b.store().All() {
			if identity.Held(o.Cert, id) > identity.None {
				all = append(all, o)
			}
		}
	}
	var out []tls.Certificate
	for _, o := range all {
		own := tls.Certificate{Certificate: [][]byte{o.Cert.Raw}, Leaf: o.Cert, PrivateKey: o.Key}
		for _, ca := range o.Chain {
			own.Certificate = append(own.Certificate, ca.Raw)
		}
		out = append(out, own)
	}
	return out, nil
}
