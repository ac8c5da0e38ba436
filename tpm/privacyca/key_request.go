package privacyca

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Types of PEM blocks in a request for a key, beside those of a Request.
const (
	blockAttest    = "TPMS_ATTEST"
	blockSignature = "TPM SIGNATURE"
	headerScheme   = "Scheme"
	headerHash     = "Hash"
)

// KeyRequest asks for the certificate of a key that signs for its holder (IKE, TLS),
// and proves that it is in the same TPM as an attestation key that the CA certified.
type KeyRequest struct {
	CSR            []byte // PKCS #10, signed by the key
	Area           []byte // TPMT_PUBLIC of the key
	Certification  tpm20.Certification
	AIKCertificate []byte // X.509 in DER, issued by the CA that is asked
}

// Qualifying returns what the attestation key signs beside the name of the key: the
// SHA-256 of the request.
func Qualifying(csr []byte) []byte {
	sum := sha256.Sum256(csr)
	return sum[:]
}

// IsKeyRequest reports whether b is the text of a KeyRequest rather than of a Request.
func IsKeyRequest(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN "+blockAttest+"-----")) }

// Encode returns the request as text.
func (r *KeyRequest) Encode() []byte {
	var out []byte
	for _, p := range []*pem.Block{
		{Type: blockCSR, Bytes: r.CSR}, {Type: blockArea, Bytes: r.Area}, {Type: blockAttest, Bytes: r.Certification.Info},
		{Type: blockSignature, Headers: map[string]string{headerScheme: r.Certification.Scheme.String(), headerHash: r.Certification.Hash.String()}, Bytes: r.Certification.Signature},
		{Type: blockEKCertificate, Bytes: r.AIKCertificate},
	} {
		out = append(out, pem.EncodeToMemory(p)...)
	}
	return out
}

// ParseKeyRequest decodes a request. It does not check what the request claims: see
// Issuer.IssueKey.
func ParseKeyRequest(b []byte) (*KeyRequest, error) {
	r, err := parseKeyRequest(b)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return r, nil
}

func parseKeyRequest(b []byte) (*KeyRequest, error) {
	all, err := blocks(b)
	if err != nil {
		return nil, err
	}
	r := &KeyRequest{}
	for _, f := range []struct {
		typ string
		to  *[]byte
	}{{blockCSR, &r.CSR}, {blockArea, &r.Area}, {blockAttest, &r.Certification.Info}, {blockSignature, &r.Certification.Signature}, {blockEKCertificate, &r.AIKCertificate}} {
		if *f.to, err = need(all, f.typ); err != nil {
			return nil, err
		}
	}
	headers := all[blockSignature].Headers
	for _, s := range []tpm20.Scheme{tpm20.RSASSA, tpm20.RSAPSS, tpm20.ECDSA} {
		if s.String() == headers[headerScheme] {
			r.Certification.Scheme = s
		}
	}
	for _, h := range pcr.Hashes {
		if h.String() == headers[headerHash] {
			r.Certification.Hash = h
		}
	}
	if r.Certification.Scheme == 0 || r.Certification.Hash == 0 {
		return nil, errors.New("the signature's scheme or hash is unknown")
	}
	return r, nil
}

// maxNames bounds the names that a certificate is asked for.
const maxNames = 16

// check verifies that the key is in the TPM of the attestation key, and that both
// signed the request. It returns the attestation key's certificate as well.
func (r *KeyRequest) check(now time.Time, ca *x509.Certificate) (csr *x509.CertificateRequest, aik *x509.Certificate, err error) {
	if aik, err = x509.ParseCertificate(r.AIKCertificate); err != nil {
		return nil, nil, fmt.Errorf("attestation key's certificate: %w", err)
	}
	if err := aik.CheckSignatureFrom(ca); err != nil {
		return nil, nil, fmt.Errorf("attestation key's certificate %q: not issued by %q: %w", aik.Subject, ca.Subject, err)
	}
	if now.Before(aik.NotBefore) || now.After(aik.NotAfter) {
		return nil, nil, fmt.Errorf("attestation key's certificate %q: it is valid from %v to %v", aik.Subject, aik.NotBefore.Format(time.DateOnly), aik.NotAfter.Format(time.DateOnly))
	}
	if aik.IsCA || !slices.ContainsFunc(aik.UnknownExtKeyUsage, oidAIKCertificate.Equal) {
		return nil, nil, fmt.Errorf("the certificate of %q is not one of an attestation key", aik.Subject)
	}
	key, name, err := tpm20.CheckSigningKey(r.Area)
	if err != nil {
		return nil, nil, err
	}
	if err := r.Certification.Check(aik.PublicKey, name, Qualifying(r.CSR)); err != nil {
		return nil, nil, err
	}
	if csr, err = x509.ParseCertificateRequest(r.CSR); err != nil {
		return nil, nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := tpm20.CheckRequestSignature(csr); err != nil {
		return nil, nil, fmt.Errorf("certificate request: %w", err)
	}
	if !attest.EqualKeys(key, csr.PublicKey) {
		return nil, nil, errors.New("the certificate request is of another key than the one that was certified")
	}
	if n := len(csr.DNSNames) + len(csr.EmailAddresses) + len(csr.IPAddresses) + len(csr.URIs); n > maxNames {
		return nil, nil, fmt.Errorf("certificate request: %d names, more than %d", n, maxNames)
	}
	return csr, aik, nil
}

// IssueKey checks a request and issues the certificate. Which names the holder may
// have is for the caller to say, who sees them in the certificate and in that of the
// attestation key.
func (i *Issuer) IssueKey(now time.Time, r *KeyRequest) (cert, aik *x509.Certificate, err error) {
	csr, aik, err := r.check(now, i.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("issue key's certificate: %w", err)
	}
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
		DNSNames: csr.DNSNames, EmailAddresses: csr.EmailAddresses, IPAddresses: csr.IPAddresses, URIs: csr.URIs,
	}
	cert, err = i.sign(now, template, csr.Subject.CommonName, csr.RawSubject, csr.PublicKey)
	if err != nil {
		return nil, nil, fmt.Errorf("issue key's certificate: %w", err)
	}
	return cert, aik, nil
}
