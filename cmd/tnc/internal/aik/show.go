package aik

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Shown is the attestation key; `--json` prints it, its field names are an
// interface for scripts.
type Shown struct {
	Generation  string   `json:"generation"`
	Handle      string   `json:"handle,omitempty"`
	Key         string   `json:"key"`
	KeyID       string   `json:"key_id"`
	PublicKey   string   `json:"public_key"` // PEM
	Certificate string   `json:"certificate,omitempty"`
	Issuer      string   `json:"issuer,omitempty"`
	NotAfter    string   `json:"not_after,omitempty"`
	Handles     []string `json:"persistent_handles,omitempty"` // all of the TPM

	tpm string // what the TPM is
}

// Show reads the attestation key that strongswan.conf names, and its certificate.
func (d *Device) Show(ctx context.Context) (*Shown, error) {
	t, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	s := &Shown{Generation: t.Generation().String(), tpm: tpmName(t.info)}
	public, err := s.key(ctx, t)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	s.KeyID = keyID(spki)
	s.PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	if len(t.aik.Certificate) > 0 {
		id, err := t.Identity(ctx, t.aik) // says where it is of another key
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(id.DER)
		if err != nil {
			return nil, err
		}
		s.Certificate, s.Issuer, s.NotAfter = cert.Subject.String(), cert.Issuer.String(), cert.NotAfter.UTC().Format("2006-01-02T15:04:05Z")
	}
	return s, nil
}

// WriteTable writes the key for people, its public key in PEM last.
func (s *Shown) WriteTable(w io.Writer) {
	certificate := "none: imc-attestation.aik_cert is not set; verifiers get the bare key"
	if s.Certificate != "" {
		certificate = fmt.Sprintf("%q, issued by %q, good until %s", s.Certificate, s.Issuer, s.NotAfter)
	}
	report.Rows(w, [2]string{"TPM", s.tpm}, [2]string{"key", s.Key}, [2]string{"handle", s.Handle},
		[2]string{"key ID", s.KeyID + " (strongSwan's device ID)"}, [2]string{"certificate", certificate})
	fmt.Fprintf(w, "\n%s", s.PublicKey)
}

// key reads the key.
func (s *Shown) key(ctx context.Context, t *openTPM) (crypto.PublicKey, error) {
	if p, ok := t.TPM.(*tpm20.TPM); ok {
		handles, err := p.PersistentHandles(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range handles {
			s.Handles = append(s.Handles, fmt.Sprintf("0x%08x", h))
		}
		handle, err := t.keyHandle()
		if err != nil {
			return nil, err
		}
		k, err := p.Key(ctx, handle)
		if err != nil {
			return nil, err
		}
		s.Handle, s.Key = fmt.Sprintf("0x%08x", handle), keyName(k.PublicKey)+", "+schemeName(k)
		if _, _, err := tpm20.CheckAK(k.Area); err != nil {
			s.Key += "; no attestation key: not restricted to what the TPM itself made"
		}
		return k.PublicKey, nil
	}
	blob, err := t.keyBlob()
	if err != nil {
		return nil, err
	}
	k, err := tpm12.ParseKeyBlob(blob)
	if err != nil {
		return nil, err
	}
	if err := k.CheckAIK(); err != nil {
		return nil, err
	}
	public, err := k.PublicKey()
	if err != nil {
		return nil, err
	}
	s.Key = keyName(public) + ", rsassa HASH_SHA1"
	return public, nil
}
