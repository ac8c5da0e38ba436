package privacyca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Issuer is a privacy CA.
type Issuer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	Trust       Trust
	// Validity is how long certificates are valid, but not longer than the CA's;
	// 0 means a year.
	Validity time.Duration
	// Name replaces the common name that the holder asks for; empty keeps it.
	Name string
}

// Lengths in octets of the secret that seals a certificate.
const (
	secret20 = 32
	secret12 = 16 // an AES key
)

// backdate is how long before now certificates begin, for clocks that are behind.
const backdate = 5 * time.Minute

// Check checks a request without answering it.
func (i *Issuer) Check(now time.Time, r *Request) error {
	_, err := i.attested(now, r)
	return err
}

// attested checks a request.
func (i *Issuer) attested(now time.Time, r *Request) (*attested, error) {
	a, err := r.check()
	if err != nil {
		return nil, err
	}
	return a, i.Trust.verify(now, r, a.ek)
}

// Issue checks a request and answers it. It returns the certificate besides, for
// the CA's records.
func (i *Issuer) Issue(now time.Time, r *Request) (*Answer, *x509.Certificate, error) {
	a, err := i.attested(now, r)
	if err != nil {
		return nil, nil, fmt.Errorf("issue AIK certificate: %w", err)
	}
	cert, err := i.certify(now, a)
	if err != nil {
		return nil, nil, fmt.Errorf("issue AIK certificate: %w", err)
	}
	out := &Answer{Generation: r.Generation, EKType: r.EKType}
	secret := make([]byte, secret20)
	if r.Generation == tpm.TPM12 {
		secret = secret[:secret12]
	}
	rand.Read(secret)
	if r.Generation == tpm.TPM12 {
		c, err := tpm12.MakeCredential(a.ek.(*rsa.PublicKey), r.Pubkey, secret)
		if err != nil {
			return nil, nil, err
		}
		out.Credential = c
	} else {
		c, err := tpm20.MakeCredential(r.EKType, a.ek, a.akName, secret)
		if err != nil {
			return nil, nil, err
		}
		if out.Credential, err = c.AppendBinary(nil); err != nil {
			return nil, nil, err
		}
	}
	if err := out.seal(secret, cert.Raw); err != nil {
		return nil, nil, err
	}
	return out, cert, nil
}

// certify issues the certificate (TCG AIK Certificate Profile: the extended key
// usage is tcg-kp-AIKCertificate).
func (i *Issuer) certify(now time.Time, a *attested) (*x509.Certificate, error) {
	return i.sign(now, &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidAIKCertificate},
		BasicConstraintsValid: true,
	}, a.name, a.subject, a.key)
}

// sign completes the template and signs it; name and subject are what the holder asks
// for.
func (i *Issuer) sign(now time.Time, template *x509.Certificate, name string, subject []byte, key crypto.PublicKey) (*x509.Certificate, error) {
	ca := i.Certificate
	if !ca.IsCA || ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("%q is not the certificate of a CA", ca.Subject)
	}
	if now.After(ca.NotAfter) {
		return nil, fmt.Errorf("the CA's certificate has expired on %v", ca.NotAfter.Format(time.DateOnly))
	}
	validity := i.Validity
	if validity <= 0 {
		validity = 365 * 24 * time.Hour
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.RawSubject = serial.Add(serial, big.NewInt(1)), subject
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(validity)
	if template.NotAfter.After(ca.NotAfter) {
		template.NotAfter = ca.NotAfter
	}
	if i.Name != "" {
		name = i.Name
	}
	if name == "" {
		return nil, errors.New("the request asks for no name, and none is given")
	}
	if i.Name != "" || len(subject) == 0 || bytes.Equal(subject, []byte{0x30, 0}) {
		template.RawSubject, template.Subject = nil, pkix.Name{CommonName: name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key, i.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
