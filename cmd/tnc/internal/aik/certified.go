package aik

import (
	"crypto/x509"
	"io"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// Certified is what issue, activate and enroll print with `--json`; its field names
// are an interface for scripts.
type Certified struct {
	Certificate string   `json:"certificate"` // its subject
	Issuer      string   `json:"issuer"`
	NotAfter    string   `json:"not_after"`
	Key         string   `json:"key"`
	KeyID       string   `json:"key_id"`                    // SHA-1 of the SubjectPublicKeyInfo: strongSwan's Device ID
	Files       []string `json:"files"`                     // that were written
	Settings    string   `json:"strongswan_conf,omitempty"` // with which a verifier knows the machine
	DeviceSQL   string   `json:"device_sql,omitempty"`      // that makes strongSwan's verifier trust it
}

// writeCertified prints the object of a certificate and the files written for it. k,
// where not nil, has what a verifier needs.
func writeCertified(w io.Writer, cert *x509.Certificate, k *trusted, files ...string) error {
	c := &Certified{
		Certificate: cert.Subject.String(), Issuer: cert.Issuer.String(), NotAfter: cert.NotAfter.UTC().Format(time.RFC3339),
		Key: KeyName(cert.PublicKey), KeyID: KeyID(cert.RawSubjectPublicKeyInfo), Files: []string{},
	}
	for _, f := range files {
		if f != "" {
			c.Files = append(c.Files, f)
		}
	}
	if k != nil {
		c.Settings, c.DeviceSQL = k.settings(), k.sql()
	}
	return report.WriteJSON(w, c)
}
