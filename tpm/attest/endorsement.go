package attest

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
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
	cert, err := ParseEndorsementCertificate(b)
	if err != nil {
		return nil, err
	}
	if !EqualKeys(cert.PublicKey, key) {
		return nil, ErrOtherKey
	}
	return cert.Raw, nil
}

// oidRSAOAEP is id-RSAES-OAEP (RFC 4055 section 4.1), as which some manufacturers
// certify endorsement keys.
var oidRSAOAEP = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}

// ParseEndorsementCertificate parses the certificate at the start of b. The public
// key is set also where it is certified for RSAES-OAEP alone.
func ParseEndorsementCertificate(b []byte) (*x509.Certificate, error) {
	cert, _, err := parseFirst(b)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's certificate: %w", err)
	}
	if cert.PublicKey == nil {
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err == nil && info.Algorithm.Algorithm.Equal(oidRSAOAEP) {
			if key, err := x509.ParsePKCS1PublicKey(info.Key.RightAlign()); err == nil {
				cert.PublicKey = key
			}
		}
	}
	if cert.PublicKey == nil {
		return nil, errors.New("endorsement key's certificate: a public key of an unknown kind")
	}
	return cert, nil
}

// Certificates returns the certificates that stand one after the other in b, in DER;
// what is none ends them.
func Certificates(b []byte) (out [][]byte) {
	for len(b) > 0 {
		cert, rest, err := parseFirst(b)
		if err != nil {
			break
		}
		out, b = append(out, cert.Raw), rest
	}
	return out
}

// parseFirst parses the certificate at the start of b.
func parseFirst(b []byte) (cert *x509.Certificate, rest []byte, err error) {
	var v asn1.RawValue
	if rest, err = asn1.Unmarshal(b, &v); err != nil {
		return nil, nil, err
	}
	cert, err = x509.ParseCertificate(v.FullBytes)
	return cert, rest, err
}
