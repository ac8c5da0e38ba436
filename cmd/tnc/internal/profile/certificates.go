package profile

import (
	"context"
	"crypto/tls"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
)

// tlsPairs loads local.certs, or where there are none those that hold local.id, with
// the private keys that fit.
func (b *Builder) tlsPairs(l *swanctl.Round) (all []credential.KeyPair, err error) {
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
	return all, nil
}

// tlsCertificates returns tlsPairs for gateways that ask for a certificate inside
// EAP-TLS and EAP-TTLS (request_peer_auth). Signatures of keys in a TPM end with ctx.
func (b *Builder) tlsCertificates(ctx context.Context, l *swanctl.Round) (out []tls.Certificate, err error) {
	all, err := b.tlsPairs(l)
	for _, o := range all {
		own := tls.Certificate{Certificate: [][]byte{o.Cert.Raw}, Leaf: o.Cert, PrivateKey: tpmkey.Bind(ctx, o.Key), SupportedSignatureAlgorithms: TLSSchemes(o.Key)}
		for _, ca := range o.Chain {
			own.Certificate = append(own.Certificate, ca.Raw)
		}
		out = append(out, own)
	}
	return out, err
}
