package credential

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// Tokens has the keys and certificates that are not in this program: those in a TPM.
type Tokens interface {
	// Key returns the key of a section token of secrets.
	Key(t *swanctl.Token) (crypto.Signer, error)
	// FileKey returns the key of the file of a TPM's key; of is its section of secrets,
	// nil where it has none.
	FileKey(file string, content []byte, of *swanctl.PrivateKey) (crypto.Signer, error)
	// Certificate returns the certificate at an NV index.
	Certificate(index uint32) (*x509.Certificate, error)
}

// tpmFiles begin the PEM block of a TPM's key: of a TPM 2.0
// (draft-woodhouse-cert-best-practice), of a TPM 1.2 (openssl_tpm_engine).
var tpmFiles = []string{"-----BEGIN TSS2 PRIVATE KEY-----", "-----BEGIN TSS KEY BLOB-----"}

// IsTPMFile reports whether a file holds a key that a TPM alone can use.
func IsTPMFile(content []byte) bool {
	return slices.ContainsFunc(tpmFiles, func(begin string) bool { return bytes.Contains(content, []byte(begin)) })
}

// errNoTokens is returned where nobody gave Open access to a TPM.
var errNoTokens = errors.New("keys in a TPM are not read here")

// noTokens refuses every key in a TPM.
type noTokens struct{}

func (noTokens) Key(*swanctl.Token) (crypto.Signer, error) { return nil, errNoTokens }
func (noTokens) FileKey(string, []byte, *swanctl.PrivateKey) (crypto.Signer, error) {
	return nil, errNoTokens
}
func (noTokens) Certificate(uint32) (*x509.Certificate, error) { return nil, errNoTokens }
