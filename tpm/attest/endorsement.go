package attest

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// ErrOtherKey is the error of an endorsement key's certificate that certifies
// another key.
var ErrOtherKey = errors.New("the endorsement key's certificate is of another key: the TPM was cleared with a new endorsement seed, or its template is not the TCG's")

// EndorsementCertificate returns the certificate of an endorsement key in DER.
// It drops what follows the certificate in b, the content of the TPM's NV index:
// some manufacturers made the index too long. A certificate of another key than
// the given one is ErrOtherKey.
func EndorsementCertificate(b []byte, key crypto.PublicKey) ([]byte, error) {
	cert, err := parseFirst(b)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's certificate: %w", err)
	}
	if !EqualKeys(cert.PublicKey, key) {
		return nil, ErrOtherKey
	}
	return cert.Raw, nil
}

// parseFirst parses the certificate at the start of b.
func parseFirst(b []byte) (*x509.Certificate, error) {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(v.FullBytes)
}
