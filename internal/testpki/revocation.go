package testpki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"
)

// CRL makes a CRL of this number, valid from an hour before now to an hour
// after, that revokes the certificates for a key compromise.
func (ca *CA) CRL(number int64, now time.Time, revoked ...*x509.Certificate) ([]byte, error) {
	return ca.EditedCRL(number, now, nil, revoked...)
}

// EditedCRL is CRL; edit may change the template, nil leaves it.
func (ca *CA) EditedCRL(number int64, now time.Time, edit func(*x509.RevocationList), revoked ...*x509.Certificate) ([]byte, error) {
	tmpl := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	for _, c := range revoked {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: now.Add(-30 * time.Minute), ReasonCode: 1})
	}
	if edit != nil {
		edit(tmpl)
	}
	return x509.CreateRevocationList(rand.Reader, tmpl, ca.Cert, ca.key)
}

// CRLPEM encodes a CRL as PEM.
func CRLPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// OCSP makes an OCSP response about a certificate, good or revoked; edit may
// change the template, nil leaves it.
func (ca *CA) OCSP(c *x509.Certificate, revoked bool, now time.Time, edit func(*ocsp.Response)) ([]byte, error) {
	return ca.DelegatedOCSP(c, revoked, now, ca.Cert, ca.key, edit)
}

// DelegatedOCSP is OCSP signed by a responder of its own.
func (ca *CA) DelegatedOCSP(c *x509.Certificate, revoked bool, now time.Time, responder *x509.Certificate, key crypto.Signer, edit func(*ocsp.Response)) ([]byte, error) {
	tmpl := ocsp.Response{SerialNumber: c.SerialNumber, Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	if revoked {
		tmpl.Status, tmpl.RevokedAt, tmpl.RevocationReason = ocsp.Revoked, now.Add(-30*time.Minute), ocsp.KeyCompromise
	}
	if responder != ca.Cert {
		tmpl.Certificate = responder
	}
	if edit != nil {
		edit(&tmpl)
	}
	return ocsp.CreateResponse(ca.Cert, responder, tmpl, key)
}
