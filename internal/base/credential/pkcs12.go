package credential

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// Container is the content of a PKCS #12 file.
type Container struct {
	Key  crypto.Signer
	Cert *x509.Certificate
	CAs  []*x509.Certificate
}

// LoadPKCS12 reads a PKCS #12 file.
func LoadPKCS12(file string, passphrase []byte) (*Container, error) {
	b, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	return ParsePKCS12(b, passphrase)
}

// ParsePKCS12 decodes a PKCS #12 container (RFC 7292) with one key, its certificate
// and any number of CAs.
func ParsePKCS12(b, passphrase []byte) (*Container, error) {
	key, cert, cas, err := pkcs12.DecodeChain(b, string(passphrase))
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, ErrPassphrase
	case err != nil:
		return nil, fmt.Errorf("it cannot be read as PKCS #12: %w", err)
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("it holds a key that cannot sign, %T", key)
	}
	return &Container{Key: s, Cert: cert, CAs: cas}, nil
}
