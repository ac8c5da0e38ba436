package aik

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/measure"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/text"
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
	DeviceID    string   `json:"device_id"`                    // what the IMC reports; verifiers want the key ID
	Settings    string   `json:"strongswan_conf"`              // with which a verifier knows the machine
	DeviceSQL   string   `json:"device_sql"`                   // that makes strongSwan's verifier trust it
	Handles     []string `json:"persistent_handles,omitempty"` // all of the TPM

	trusted trusted
	tpm     string // what the TPM is
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
	s.KeyID = KeyID(spki)
	var cert *x509.Certificate
	s.PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	if len(t.aik.Certificate) > 0 {
		id, err := t.Identity(ctx, t.aik) // says where it is of another key
		if err != nil {
			return nil, err
		}
		if cert, err = x509.ParseCertificate(id.DER); err != nil {
			return nil, err
		}
		s.Certificate, s.Issuer, s.NotAfter = cert.Subject.String(), cert.Issuer.String(), cert.NotAfter.UTC().Format("2006-01-02T15:04:05Z")
	}
	s.trusted = t.trusted(cert)
	if d.Blob != "" {
		s.trusted.blob = absolute(d.Blob)
	}
	s.trusted.keyID = s.KeyID
	s.Settings, s.DeviceSQL = s.trusted.settings(), s.trusted.sql()
	s.DeviceID = deviceID(ctx, t)
	return s, nil
}

// deviceID returns the Device ID that the IMC reports with these settings; empty
// where there is none.
func deviceID(ctx context.Context, t *openTPM) string {
	if h := settings.DeviceHandle.Read(t.view); h != "" && settings.DeviceID.Read(t.view) == "" {
		handle, err := settings.ParseHandle(h)
		if p, ok := t.TPM.(*tpm20.TPM); ok && err == nil {
			if k, err := p.Key(ctx, handle); err == nil {
				if spki, err := x509.MarshalPKIXPublicKey(k.PublicKey); err == nil {
					return KeyID(spki)
				}
			}
		}
	}
	v, err := measure.PlatformFromSettings(t.view, nil).Attribute(ctx, patnc.TypeITADeviceID)
	if err != nil {
		return ""
	}
	return v.(patnc.DeviceID).ID
}

// WriteTable writes the key for people, with the settings that lead to trust in it,
// its public key in PEM last.
func (s *Shown) WriteTable(w io.Writer) {
	certificate := "none: imc-attestation.aik_cert is not set; verifiers get the bare key"
	if s.Certificate != "" {
		certificate = fmt.Sprintf("%q, issued by %q, good until %s", s.Certificate, s.Issuer, s.NotAfter)
	}
	device := s.DeviceID
	if device != s.KeyID {
		device += ", which is not the key ID: verifiers do not trust the key; see the settings of imc-os below"
	}
	report.Rows(w, [2]string{"TPM", s.tpm}, [2]string{"key", s.Key}, [2]string{"handle", s.Handle},
		[2]string{"key ID", s.KeyID + " (strongSwan's device ID)"}, [2]string{"device ID", text.Printable(device)}, [2]string{"certificate", certificate})
	s.trusted.writeSettings(w)
	s.trusted.writeVerifier(w)
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
		s.Handle, s.Key = fmt.Sprintf("0x%08x", handle), KeyName(k.PublicKey)+", "+schemeName(k)
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
	s.Key = KeyName(public) + ", rsassa HASH_SHA1"
	return public, nil
}
