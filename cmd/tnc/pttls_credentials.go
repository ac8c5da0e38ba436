package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/config/swanctl"
)

// credentials reads --ca, --cert and --key. As with pt-tls-client a --cert may be
// a CA; the one that fits the key is this machine's, and other certificates
// that are no CA's are refused.
func (o *ptTLS) credentials() (*x509.CertPool, *tls.Certificate, error) {
	roots := x509.NewCertPool()
	n := 0
	for _, file := range o.cas {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, nil, notThere(file, "--ca", err)
		}
		for _, c := range certs {
			roots.AddCert(c)
			n++
		}
	}
	var key crypto.Signer
	if o.key != "" {
		var err error
		if key, err = loadKey(o.key, strings.ToLower(o.keyType)); err != nil {
			return nil, nil, notThere(o.key, "--key", err)
		}
	}
	var own *tls.Certificate
	var chain [][]byte
	for _, file := range o.certs {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, nil, notThere(file, "--cert", err)
		}
		for _, c := range certs {
			switch {
			case own == nil && key != nil && samePublic(c.PublicKey, key.Public()):
				own = &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
			case c.IsCA:
				roots.AddCert(c)
				chain = append(chain, c.Raw)
				n++
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
	case n == 0:
		return nil, nil, usageError("no CA: name the file with the CA of the server's certificate with --ca")
	}
	if own != nil {
		own.Certificate = append(own.Certificate, intermediates(own.Leaf, chain)...)
	}
	return roots, own, nil
}

// intermediates returns what of chain leads from leaf towards its root, without
// the root.
func intermediates(leaf *x509.Certificate, chain [][]byte) (out [][]byte) {
	issuer := leaf.RawIssuer
	for range chain {
		for _, raw := range chain {
			c, err := x509.ParseCertificate(raw)
			if err == nil && string(c.RawSubject) == string(issuer) && string(c.RawSubject) != string(c.RawIssuer) {
				out, issuer = append(out, raw), c.RawIssuer
				break
			}
		}
	}
	return out[:min(len(out), 8)]
}

func samePublic(a any, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// loadKey reads a private key, PEM or DER: PKCS #8, PKCS #1 or SEC 1.
func loadKey(file, kind string) (crypto.Signer, error) {
	b, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	der := b
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the key is encrypted: decrypt it with `openssl pkey`")
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			der = block.Bytes
			defer clear(der)
			break
		}
	}
	var key any
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, errors.New("it holds no private key that can be read")
			}
		}
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	_, isRSA := s.(*rsa.PrivateKey)
	_, isECDSA := s.(*ecdsa.PrivateKey)
	if kind == "rsa" && !isRSA || kind == "ecdsa" && !isECDSA {
		return nil, fmt.Errorf("it holds another kind of key than --key-type %s", kind)
	}
	return s, nil
}
