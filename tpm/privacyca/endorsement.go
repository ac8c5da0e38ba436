package privacyca

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what certificates of TPMs 1.2 are signed with
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/attest"
)

// Object identifiers of the TCG (EK Credential Profile sections 3.2 and A.3) and of
// X.509's subjectAltName.
var (
	oidEKCertificate  = asn1.ObjectIdentifier{2, 23, 133, 8, 1} // tcg-kp-EKCertificate
	oidAIKCertificate = asn1.ObjectIdentifier{2, 23, 133, 8, 3} // tcg-kp-AIKCertificate
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// Trust says which endorsement keys a privacy CA trusts.
type Trust struct {
	// Roots are CAs of TPM manufacturers, Intermediates CAs below them.
	Roots, Intermediates []*x509.Certificate
	// Keys are the SHA-256 of the SubjectPublicKeyInfo of endorsement keys that
	// are trusted without a certificate.
	Keys [][sha256.Size]byte
}

// NewTrust sorts CA certificates: self-signed ones become roots, the others
// intermediates; where none is self-signed all become roots.
func NewTrust(cas []*x509.Certificate) Trust {
	var t Trust
	// not by the signature, which old roots made with SHA-1: nothing depends on it
	root := func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }
	all := !slices.ContainsFunc(cas, root)
	for _, c := range cas {
		if all || root(c) {
			t.Roots = append(t.Roots, c)
		} else {
			t.Intermediates = append(t.Intermediates, c)
		}
	}
	return t
}

// ErrNoCertificate is returned for an endorsement key that is not in Trust.Keys
// and has no certificate.
var ErrNoCertificate = errors.New("the TPM has no certificate of its endorsement key")

// verify says why the endorsement key is not trusted. The certificate of a TPM 1.2
// may be signed with SHA-1, as was usual when those were made.
func (t Trust) verify(now time.Time, r *Request, ek crypto.PublicKey) error {
	sum := sha256.Sum256(r.EK)
	if slices.Contains(t.Keys, sum) {
		return nil
	}
	if len(r.EKCertificate) == 0 {
		return fmt.Errorf("%w: SHA-256 %x", ErrNoCertificate, sum)
	}
	cert, err := attest.ParseEndorsementCertificate(r.EKCertificate)
	if err != nil {
		return err
	}
	if !attest.EqualKeys(ek, cert.PublicKey) {
		return errors.New("endorsement key's certificate: it is of another key")
	}
	// subjectAltName is critical because the subject is empty; it holds a
	// directoryName with the TPM's manufacturer, model and version, which
	// crypto/x509 does not handle
	cert.UnhandledCriticalExtensions = slices.DeleteFunc(cert.UnhandledCriticalExtensions, oidSubjectAltName.Equal)
	usages := len(cert.ExtKeyUsage) + len(cert.UnknownExtKeyUsage)
	if cert.IsCA || usages > 0 && !slices.ContainsFunc(cert.UnknownExtKeyUsage, oidEKCertificate.Equal) {
		return errors.New("endorsement key's certificate: it is not one of an endorsement key")
	}
	if len(t.Roots) == 0 {
		return errors.New("endorsement key's certificate: no CA of a manufacturer is trusted")
	}
	for _, der := range attest.Certificates(r.Chain) { // nobody vouches for those: they are never roots
		if c, err := x509.ParseCertificate(der); err == nil {
			t.Intermediates = append(slices.Clip(t.Intermediates), c)
		}
	}
	if e := t.critical(cert); e != nil {
		return fmt.Errorf("endorsement key's certificate, issued by %q: %w", cert.Issuer, e)
	}
	if r.Generation == tpm.TPM12 && cert.SignatureAlgorithm == x509.SHA1WithRSA {
		err = t.chainSHA1(now, cert)
	} else {
		err = t.chain(now, cert)
	}
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		err = t.unknownIssuer(cert, err)
	}
	if err != nil {
		return fmt.Errorf("endorsement key's certificate, issued by %q: %w", cert.Issuer, err)
	}
	return nil
}

// minRSABits is the least size of a CA's RSA key.
const minRSABits = 2048

// chain verifies the certificate up to one of the roots.
func (t Trust) chain(now time.Time, cert *x509.Certificate) error {
	_, err := t.paths(now, cert)
	return err
}

// paths returns the paths of a certificate to one of the roots whose CAs may issue
// certificates of endorsement keys; at least one where there is no error.
func (t Trust) paths(now time.Time, cert *x509.Certificate) ([][]*x509.Certificate, error) {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range t.Roots {
		o.Roots.AddCert(c)
	}
	for _, c := range t.Intermediates {
		o.Intermediates.AddCert(c)
	}
	all, err := cert.Verify(o)
	if err != nil {
		return nil, err
	}
	var out [][]*x509.Certificate
	for _, path := range all {
		if e := checkCAs(path); e != nil {
			err = e
			continue
		}
		out = append(out, path)
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, err
}

// checkCAs looks at what crypto/x509 does not: the sizes of keys, and extended key
// usages of intermediate CAs, which hold for what is issued under them.
func checkCAs(path []*x509.Certificate) error {
	for i, c := range path {
		if !c.IsCA {
			continue // the endorsement key's, whose usages were checked
		}
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < minRSABits {
			return fmt.Errorf("the RSA key of the CA %q has %d bits, at least %d are needed", c.Subject, k.N.BitLen(), minRSABits)
		}
		usages := len(c.ExtKeyUsage) + len(c.UnknownExtKeyUsage)
		if i < len(path)-1 && usages > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) && !slices.ContainsFunc(c.UnknownExtKeyUsage, oidEKCertificate.Equal) {
			return fmt.Errorf("the CA %q is not for certificates of endorsement keys", c.Subject)
		}
	}
	return nil
}

// chainSHA1 is chain for a certificate that is signed with SHA-1, which crypto/x509
// refuses. The certificates above it must not be, and the checks of RFC 5280 section
// 6.1 that depend on the end of the path are made here.
func (t Trust) chainSHA1(now time.Time, cert *x509.Certificate) error {
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired, Detail: "it is not valid now"}
	}
	sum := sha1.Sum(cert.RawTBSCertificate)
	var err error = x509.UnknownAuthorityError{Cert: cert}
	for _, ca := range slices.Concat(t.Roots, t.Intermediates) {
		key, ok := ca.PublicKey.(*rsa.PublicKey)
		if !ok || !bytes.Equal(ca.RawSubject, cert.RawIssuer) || rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], cert.Signature) != nil {
			continue
		}
		paths, e := t.paths(now, ca)
		for _, path := range paths {
			if e = issues(path); e == nil {
				return nil
			}
		}
		err = e
	}
	return err
}

// issues says why the CAs of a path, the issuer first, may not have issued an end
// entity's certificate.
func issues(path []*x509.Certificate) error {
	for below, ca := range path {
		switch {
		case !ca.BasicConstraintsValid || !ca.IsCA, ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0:
			return x509.CertificateInvalidError{Cert: ca, Reason: x509.NotAuthorizedToSign}
		case (ca.MaxPathLen > 0 || ca.MaxPathLenZero) && below > ca.MaxPathLen:
			return x509.CertificateInvalidError{Cert: ca, Reason: x509.TooManyIntermediates}
		}
	}
	return nil
}
