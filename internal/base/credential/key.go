// Package credential reads private keys and PKCS #12 containers.
package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/youmark/pkcs8"
)

// MaxFile is the size in octets of the largest file with a key.
const MaxFile = 1 << 20

// ErrPassphrase is returned where the passphrase is missing or wrong.
var ErrPassphrase = errors.New("its passphrase is missing or wrong")

// ReadFile reads a file of at most MaxFile octets.
func ReadFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(b) > MaxFile {
		err = fmt.Errorf("%s is larger than %d octets, that is no key", file, MaxFile)
	}
	return b, err
}

// LoadKey reads a private key file; see ParseKey.
func LoadKey(file, kind string, passphrase []byte) (crypto.Signer, error) {
	b, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	return ParseKey(b, kind, passphrase)
}

// ParseKey decodes a private key in PEM or DER: PKCS #8, PKCS #1 or SEC 1, each
// encrypted or not. Kind "rsa" or "ecdsa" accepts only keys of that kind, "" all.
// The passphrase is ignored for a key that is not encrypted.
func ParseKey(b []byte, kind string, passphrase []byte) (crypto.Signer, error) {
	der, encrypted := b, false
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		der = block.Bytes
		//lint:ignore SA1019 keys of old configurations are encrypted so
		if x509.IsEncryptedPEMBlock(block) {
			encrypted = true
			var err error
			//lint:ignore SA1019 the same
			if der, err = x509.DecryptPEMBlock(block, passphrase); err != nil {
				return nil, ErrPassphrase
			}
		}
		defer clear(der)
		break
	}
	key, err := parseDER(der, passphrase)
	if err != nil && encrypted { // a wrong passphrase may leave right padding
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	_, isRSA := key.(*rsa.PrivateKey)
	_, isECDSA := key.(*ecdsa.PrivateKey)
	_, isEd25519 := key.(ed25519.PrivateKey)
	switch {
	case kind == "rsa" && !isRSA, kind == "ecdsa" && !isECDSA:
		return nil, fmt.Errorf("it holds a key of another kind than %s", kind)
	case !isRSA && !isECDSA && !isEd25519:
		return nil, fmt.Errorf("it holds a key that cannot sign, %T", key)
	}
	return key.(crypto.Signer), nil
}

// parseDER decodes a private key in DER.
func parseDER(der, passphrase []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if !encryptedPKCS8(der) {
		return nil, errors.New("it holds no private key that can be read")
	}
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	key, err := pkcs8.ParsePKCS8PrivateKey(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPassphrase, err)
	}
	return key, nil
}

// oidPBES is 1.2.840.113549.1.5, the arc of PBES1 and PBES2.
var oidPBES = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05}

// encryptedPKCS8 reports whether der looks like an EncryptedPrivateKeyInfo.
func encryptedPKCS8(der []byte) bool {
	return len(der) > 2 && der[0] == 0x30 && bytes.Contains(der[:min(len(der), 32)], oidPBES)
}

// Fits reports whether key is the private half of a certificate's key.
func Fits(c *x509.Certificate, key crypto.Signer) bool {
	return SamePublic(c.PublicKey, key.Public())
}

// SamePublic reports whether two public keys are the same.
func SamePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
