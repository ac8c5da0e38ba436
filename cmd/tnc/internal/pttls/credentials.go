package pttls

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
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
	key, err := c.key()
	if err != nil {
		return nil, nil, err
	}
	var chain []*x509.Certificate
	for _, file := range append(slices.Clone(c.Certs), c.CertIDs...) {
		certs, err := c.certificates(file)
		if err != nil {
			return nil, nil, err
		}
		for _, cert := range certs {
			switch {
			case own == nil && key != nil && credential.Fits(cert, key):
				own = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert, SupportedSignatureAlgorithms: profile.TLSSchemes(key)}
			case cert.IsCA:
				cas = append(cas, cert)
				chain = append(chain, cert)
			case key == nil:
				return nil, nil, fmt.Errorf("--cert %s: it is no CA's certificate, and this machine's needs its --key", file)
			default:
				return nil, nil, fmt.Errorf("--cert %s: it is neither a CA's certificate nor that of --key %s", file, c.Key+c.KeyID)
			}
		}
	}
	switch {
	case key != nil && own == nil:
		return nil, nil, fmt.Errorf("--key %s: no --cert fits it", c.Key+c.KeyID)
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

// key loads the private key, of a file or of the TPM; nil where there is none.
func (c *Config) key() (crypto.Signer, error) {
	if c.KeyID != "" {
		t := &swanctl.Token{Name: "--keyid", PIN: c.PIN}
		var err error
		if t.Handle, err = swanctl.ParseHandle(c.KeyID); err != nil {
			return nil, usage.Errorf("--keyid: %w", err)
		}
		return c.tokens.Key(t)
	}
	if c.Key == "" {
		return nil, nil
	}
	b, err := credential.ReadFile(c.Key)
	if err != nil {
		return nil, usage.FileError(c.Key, "--key", err)
	}
	defer clear(b)
	if credential.IsTPMFile(b) {
		k, err := c.tokens.FileKey(c.Key, b, &swanctl.PrivateKey{Name: "--key", File: c.Key, Passphrase: c.PIN})
		if err != nil {
			return nil, usage.FileError(c.Key, "--key", err)
		}
		return k, nil
	}
	kind := strings.ToLower(c.KeyType)
	key, err := credential.ParseKey(b, kind, nil)
	if errors.Is(err, credential.ErrPassphrase) && c.Passphrase != nil {
		phrase, failed := c.Passphrase(c.Key)
		if failed != nil {
			return nil, failed
		}
		key, err = credential.ParseKey(b, kind, phrase)
		clear(phrase)
	}
	if err != nil {
		if errors.Is(err, credential.ErrPassphrase) {
			err = errors.New("the key is encrypted: decrypt it with `openssl pkey`")
		}
		return nil, usage.FileError(c.Key, "--key", err)
	}
	return key, nil
}

// certificates reads a file, or an NV index of the TPM.
func (c *Config) certificates(name string) ([]*x509.Certificate, error) {
	if slices.Contains(c.CertIDs, name) {
		index, err := swanctl.ParseHandle(name)
		if err != nil {
			return nil, usage.Errorf("--certid: %w", err)
		}
		cert, err := c.tokens.Certificate(index)
		return []*x509.Certificate{cert}, err
	}
	certs, err := swanctl.LoadCertificates(name)
	if err != nil {
		return nil, usage.FileError(name, "--cert", err)
	}
	return certs, nil
}
