package tpm

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // strongSwan's key identifier
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// identityOf returns what the AIK attribute carries: the certificate of the
// settings, else the key that they or the TPM give. Known is the public key
// that the TPM holds, nil where that was not to be had.
func identityOf(aik AIK, known crypto.PublicKey) (Identity, error) {
	if len(aik.Certificate) > 0 {
		der := unPEM(aik.Certificate)
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
	case len(aik.PublicKey) > 0:
		der = unPEM(aik.PublicKey)
		if _, err := x509.ParsePKIXPublicKey(der); err != nil {
			return Identity{}, fmt.Errorf("AIK public key: %w", err)
		}
	default:
		return Identity{}, fmt.Errorf("%w: set aik_handle (TPM 2.0), or aik_blob with aik_cert or aik_pubkey (TPM 1.2); `tnc aik create` makes one", ErrNoKey)
	}
	return Identity{DER: der, Naked: true, KeyID: sha1.Sum(der)}, nil
}

// unPEM returns the DER of the first PEM block, or b where it is none.
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
