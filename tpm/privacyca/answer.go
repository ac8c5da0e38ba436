package privacyca

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Types of PEM blocks in an answer.
const (
	blockCredential20 = "TPM 2.0 CREDENTIAL"
	blockCredential12 = "TPM 1.2 CREDENTIAL"
	blockSealed       = "SEALED CERTIFICATE"
)

// Answer is a certificate that only the TPM that it is for can read.
type Answer struct {
	Generation tpm.Generation
	EKType     tpm20.KeyType // of the endorsement key that the credential is wrapped for
	// Credential wraps the secret: for a TPM 2.0 a file of tpm2_makecredential,
	// for a TPM 1.2 the encrypted TPM_ASYM_CA_CONTENTS.
	Credential []byte
	// Sealed is the certificate in DER, encrypted with AES-256-GCM.
	Sealed []byte
}

// Encode returns the answer as text.
func (a *Answer) Encode() []byte {
	typ := blockCredential20
	if a.Generation == tpm.TPM12 {
		typ = blockCredential12
	}
	out := pem.EncodeToMemory(&pem.Block{Type: typ, Headers: map[string]string{headerEK: a.EKType.String()}, Bytes: a.Credential})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: blockSealed, Bytes: a.Sealed})...)
}

// ParseAnswer decodes an answer.
func ParseAnswer(b []byte) (*Answer, error) {
	a, err := parseAnswer(b)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return a, nil
}

func parseAnswer(b []byte) (*Answer, error) {
	all, err := blocks(b)
	if err != nil {
		return nil, err
	}
	a, typ := &Answer{Generation: tpm.TPM20}, blockCredential20
	if all[typ] == nil && all[blockCredential12] != nil {
		a.Generation, typ = tpm.TPM12, blockCredential12
	}
	if a.Credential, err = need(all, typ); err != nil {
		return nil, err
	}
	if a.EKType, err = tpm20.ParseKeyType(all[typ].Headers[headerEK]); err != nil {
		return nil, err
	}
	a.Sealed, err = need(all, blockSealed)
	return a, err
}

// aead returns the cipher that a secret keys and its nonce, which may be zero
// because a secret is used once.
func aead(secret []byte) (cipher.AEAD, []byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "gotnc AIK certificate", 32)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	c, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, err
	}
	return c, make([]byte, c.NonceSize()), nil
}

// seal encrypts the certificate, bound to the credential.
func (a *Answer) seal(secret, certificate []byte) error {
	c, nonce, err := aead(secret)
	if err != nil {
		return err
	}
	a.Sealed = c.Seal(nil, nonce, certificate, a.Credential)
	return nil
}

// Open decrypts the certificate with the secret that the TPM unwrapped, and checks
// that it certifies that key.
func (a *Answer) Open(secret []byte, key crypto.PublicKey) (*x509.Certificate, error) {
	c, nonce, err := aead(secret)
	if err != nil {
		return nil, fmt.Errorf("open answer: %w", err)
	}
	der, err := c.Open(nil, nonce, a.Sealed, a.Credential)
	if err != nil {
		return nil, errors.New("open answer: its certificate was altered on the way, or sealed by another secret")
	}
	cert, err := x509.ParseCertificate(bytes.Clone(der))
	if err != nil {
		return nil, fmt.Errorf("open answer: %w", err)
	}
	if !attest.EqualKeys(key, cert.PublicKey) {
		return nil, errors.New("open answer: the certificate is of another key")
	}
	return cert, nil
}
