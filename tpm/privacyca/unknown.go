package privacyca

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// CriticalError is returned for a certificate with critical extensions that mean
// nothing here, so that it must not be accepted (RFC 5280 section 4.2).
type CriticalError struct {
	Certificate *x509.Certificate
	Extensions  []asn1.ObjectIdentifier
}

func (e *CriticalError) Error() string {
	var names []string
	for _, o := range e.Extensions {
		names = append(names, o.String())
	}
	return fmt.Sprintf("the certificate of %q has unhandled critical extensions: %s", e.Certificate.Subject, strings.Join(names, ", "))
}

// UnknownIssuerError is returned where the path of an endorsement key's certificate
// ends before one of the trusted CAs.
type UnknownIssuerError struct {
	// Certificate is the last one of the path: nobody knows its issuer.
	Certificate *x509.Certificate
}

// Error names the issuer as its own certificate does.
func (e *UnknownIssuerError) Error() string {
	c := e.Certificate
	out := fmt.Sprintf("no trusted CA is %q", c.Issuer)
	if len(c.AuthorityKeyId) > 0 {
		out += fmt.Sprintf(" with the key identifier %x", c.AuthorityKeyId)
	}
	return out
}

// maxPath bounds the certificates of a path.
const maxPath = 10

// unknownIssuer follows the path of a certificate to where it ends, and returns err
// where it leads to a root: then the certificates are wrong, not their number.
func (t Trust) unknownIssuer(cert *x509.Certificate, err error) error {
	issued := func(ca *x509.Certificate) bool {
		return bytes.Equal(ca.RawSubject, cert.RawIssuer) &&
			(len(cert.AuthorityKeyId) == 0 || len(ca.SubjectKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, ca.SubjectKeyId))
	}
	for range maxPath {
		if slices.ContainsFunc(t.Roots, issued) {
			return err
		}
		i := slices.IndexFunc(t.Intermediates, issued)
		if i < 0 || bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			return &UnknownIssuerError{Certificate: cert}
		}
		cert = t.Intermediates[i]
	}
	return err
}

// critical says which critical extensions of the certificate and of CAs above it are
// unknown.
func (t Trust) critical(cert *x509.Certificate) error {
	all := slices.Concat(t.Intermediates, t.Roots)
	for range maxPath {
		if len(cert.UnhandledCriticalExtensions) > 0 {
			return &CriticalError{cert, cert.UnhandledCriticalExtensions}
		}
		i := slices.IndexFunc(all, func(ca *x509.Certificate) bool {
			return bytes.Equal(ca.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(ca) == nil
		})
		if i < 0 || bytes.Equal(all[i].Raw, cert.Raw) {
			break
		}
		cert = all[i]
	}
	return nil
}
