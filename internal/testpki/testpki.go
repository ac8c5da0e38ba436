// Package testpki makes certificate authorities and server certificates for
// the demo and for tests. Its keys live for one run.
package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// CA issues certificates.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// Key kinds of Issue and NewCA.
type Key int

const (
	ECDSA Key = iota // P-256
	RSA              // 2048 bit
	ECDSA384
	ECDSA521
	Ed25519
	RSA1024 // weaker than what is accepted
)

func newKey(k Key) (crypto.Signer, error) {
	switch k {
	case RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case ECDSA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ECDSA521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func serial() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) }

// NewCA makes a self-signed CA with this common name, valid for a year around
// now.
func NewCA(commonName string, k Key) (*CA, error) { return newCA(nil, commonName, k, nil) }

// SubCA makes an intermediate CA. Edit may change the template; nil leaves it.
func (ca *CA) SubCA(commonName string, k Key, edit func(*x509.Certificate)) (*CA, error) {
	return newCA(ca, commonName, k, edit)
}

func newCA(issuer *CA, commonName string, k Key, edit func(*x509.Certificate)) (*CA, error) {
	key, err := newKey(k)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	sn, err := serial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          sn,
		Subject:               pkix.Name{Country: []string{"CH"}, Organization: []string{"gotnc"}, CommonName: commonName},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if edit != nil {
		edit(tmpl)
	}
	if issuer == nil {
		issuer = &CA{Cert: tmpl, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer.Cert, key.Public(), issuer.key)
	if err != nil {
		return nil, fmt.Errorf("sign CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{Cert: cert, key: key}, nil
}

// Issue makes a server certificate for the DNS name, with a key of its own.
// Edit may change the template before it is signed; nil leaves it.
func (ca *CA) Issue(dnsName string, k Key, edit func(*x509.Certificate)) (tls.Certificate, error) {
	key, err := newKey(k)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make server key: %w", err)
	}
	leaf, err := ca.Certify(dnsName, key.Public(), edit)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// Certify makes a certificate as Issue does, for the public key of somebody else.
func (ca *CA) Certify(dnsName string, public crypto.PublicKey, edit func(*x509.Certificate)) (*x509.Certificate, error) {
	sn, err := serial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: sn,
		Subject:      pkix.Name{Country: []string{"CH"}, Organization: []string{"gotnc"}, CommonName: dnsName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 6, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{dnsName},
	}
	if edit != nil {
		edit(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.Cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// PEM returns the CA's certificate as PEM.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
}

// WriteFiles writes cert's certificate and PKCS #8 key as PEM files; the key's
// mode is 0600.
func WriteFiles(cert tls.Certificate, certFile, keyFile string) error {
	for _, f := range []string{certFile, keyFile} {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
