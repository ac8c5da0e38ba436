package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gotnc/gotnc/internal/config/swanctl"
)

// keyDirs are the folders beside swanctl.conf that hold private keys.
var keyDirs = []string{"private", "rsa", "ecdsa", "pkcs8"}

const maxKeyFiles = 256

// ttlsCertificates loads local.certs with the private keys that fit, for
// gateways that ask for a certificate inside EAP-TTLS (request_peer_auth).
func (c *connection) ttlsCertificates() ([]tls.Certificate, error) {
	l := c.conn.Local[0]
	var out []tls.Certificate
	for _, file := range l.Certs {
		certs, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, l.Pos.Errorf("local.certs of connection %q: %w", c.conn.Name, err)
		}
		if len(certs) == 0 {
			return nil, l.Pos.Errorf("local.certs of connection %q: %s holds no certificate", c.conn.Name, file)
		}
		own, err := c.withKey(certs)
		if err != nil {
			return nil, l.Pos.Errorf("local.certs of connection %q: %s: %w", c.conn.Name, file, err)
		}
		out = append(out, own)
	}
	return out, nil
}

// withKey finds the private key of the first certificate.
func (c *connection) withKey(certs []*x509.Certificate) (tls.Certificate, error) {
	own := tls.Certificate{Certificate: [][]byte{certs[0].Raw}, Leaf: certs[0]}
	var chain [][]byte
	for _, more := range certs[1:] {
		chain = append(chain, more.Raw)
	}
	own.Certificate = append(own.Certificate, intermediates(certs[0], chain)...)
	looked := 0
	for _, dir := range keyDirs {
		dir = filepath.Join(filepath.Dir(c.swanctl.File), dir)
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return own, err
		}
		for _, e := range entries {
			if looked++; looked > maxKeyFiles {
				return own, errors.New("there are too many private keys to look through")
			}
			key, err := loadKey(filepath.Join(dir, e.Name()), "")
			if err == nil && samePublic(certs[0].PublicKey, key.Public()) {
				own.PrivateKey = key
				return own, nil
			}
		}
	}
	return own, errors.New("no private key beside swanctl.conf fits it: put the key into the folder private")
}
