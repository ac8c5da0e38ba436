package attest

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // strongSwan's key identifier
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Identity is what the AIK attribute carries.
type Identity struct {
	DER   []byte // X.509 certificate, or SubjectPublicKeyInfo where Naked
	Naked bool   // no certificate
	// KeyID is the SHA-1 of the SubjectPublicKeyInfo: the Device ID by which
	// strongSwan's verifier knows the machine.
	KeyID [20]byte
}

// Identity returns what the AIK attribute carries: the certificate of the AIK,
// else the public key. Known is the public key that the TPM or the blob holds,
// nil where it is not known: a certificate of another key is an error that
// wraps ErrNoKey.
func (a AIK) Identity(known crypto.PublicKey) (Identity, error) {
	if len(a.Certificate) > 0 {
		der := unPEM(a.Certificate)
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return Identity{}, fmt.Errorf("AIK certificate: %w", err)
		}
		if known != nil && !EqualKeys(known, cert.PublicKey) {
			return Identity{}, fmt.Errorf("%w: the AIK certificate %q is of another key than the one in the TPM", ErrNoKey, cert.Subject)
		}
		return Identity{DER: der, KeyID: sha1.Sum(cert.RawSubjectPublicKeyInfo)}, nil
	}
	var der []byte
	switch {
	case known != nil:
		var err error
		if der, err = x509.MarshalPKIXPublicKey(known); err != nil {
			return Identity{}, fmt.Errorf("AIK public key: %w", err)
		}
	case len(a.PublicKey) > 0:
		der = unPEM(a.PublicKey)
		if _, err := x509.ParsePKIXPublicKey(der); err != nil {
			return Identity{}, fmt.Errorf("AIK public key: %w", err)
		}
	default:
		return Identity{}, ErrKeyUnset
	}
	return Identity{DER: der, Naked: true, KeyID: sha1.Sum(der)}, nil
}

// unPEM returns the DER of the first PEM block, or a copy of b where it holds
// no PEM.
func unPEM(b []byte) []byte {
	if p, _ := pem.Decode(b); p != nil {
		return p.Bytes
	}
	return bytes.Clone(b)
}

// EqualKeys reports whether two public keys are the same.
func EqualKeys(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
