package pttls

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
)

// credentials reads certificates and key. As with pt-tls-client a --cert may be a
// CA; the one that fits the key is this machine's, and other certificates that are
// no CA's are refused.
func (c *Config) credentials() (cas []*x509.Certificate, own *tls.Certificate, err error) {
	for _, file := range c.CAs {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, nil, usage.FileError(file, "--ca", err)
		}
		cas = append(cas, certs...)
	}
	var key crypto.Signer
	if c.Key != "" {
		if key, err = credential.LoadKey(c.Key, strings.ToLower(c.KeyType), nil); err != nil {
			if errors.Is(err, credential.ErrPassphrase) {
				err = errors.New("the key is encrypted: decrypt it with `openssl pkey`")
			}
			return nil, nil, usage.FileError(c.Key, "--key", err)
		}
	}
	var chain []*x509.Certificate
	for _, file := range c.Certs {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, nil, usage.FileError(file, "--cert", err)
		}
		for _, cert := range certs {
			switch {
			case own == nil && key != nil && credential.Fits(cert, key):
				own = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
			case cert.IsCA:
				cas = append(cas, cert)
				chain = append(chain, cert)
			case key == nil:
				return nil, nil, fmt.Errorf("--cert %s: it is no CA's certificate, and this machine's needs its --key", file)
			default:
				return nil, nil, fmt.Errorf("--cert %s: it is neither a CA's certificate nor that of --key %s", file, c.Key)
			}
		}
	}
	switch {
	case key != nil && own == nil:
		return nil, nil, fmt.Errorf("--key %s: no --cert fits it", c.Key)
	case len(cas) == 0:
		return nil, nil, usage.Errorf("no CA: name the file with the CA of the server's certificate with --ca")
	}
	if own != nil {
		for _, ca := range credential.Chain(own.Leaf, chain) {
			own.Certificate = append(own.Certificate, ca.Raw)
		}
	}
	return cas, own, nil
}
