package main

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
)

// credentials reads --ca, --cert and --key. As with pt-tls-client a --cert may be
// a CA; the one that fits the key is this machine's, and other certificates
// that are no CA's are refused.
func (o *ptTLS) credentials() (cas []*x509.Certificate, own *tls.Certificate, err error) {
	for _, file := range o.cas {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, nil, notThere(file, "--ca", err)
		}
		cas = append(cas, certs...)
	}
	var key crypto.Signer
	if o.key != "" {
		if key, err = credential.LoadKey(o.key, strings.ToLower(o.keyType), nil); err != nil {
			if errors.Is(err, credential.ErrPassphrase) {
				err = errors.New("the key is encrypted: decrypt it with `openssl pkey`")
			}
			return nil, nil, notThere(o.key, "--key", err)
		}
	}
	var chain []*x509.Certificate
	for _, file := range o.certs {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, nil, notThere(file, "--cert", err)
		}
		for _, c := range certs {
			switch {
			case own == nil && key != nil && credential.Fits(c, key):
				own = &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
			case c.IsCA:
				cas = append(cas, c)
				chain = append(chain, c)
			case key == nil:
				return nil, nil, fmt.Errorf("--cert %s: it is no CA's certificate, and this machine's needs its --key", file)
			default:
				return nil, nil, fmt.Errorf("--cert %s: it is neither a CA's certificate nor that of --key %s", file, o.key)
			}
		}
	}
	switch {
	case key != nil && own == nil:
		return nil, nil, fmt.Errorf("--key %s: no --cert fits it", o.key)
	case len(cas) == 0:
		return nil, nil, report.UsageError("no CA: name the file with the CA of the server's certificate with --ca")
	}
	if own != nil {
		for _, ca := range credential.Chain(own.Leaf, chain) {
			own.Certificate = append(own.Certificate, ca.Raw)
		}
	}
	return cas, own, nil
}
