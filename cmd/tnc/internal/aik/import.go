package aik

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Import takes an attestation key that the platform made and certified.
type Import struct {
	Device
	NVCert     string // NV index of the certificate; "" = where known platforms have it
	NVTemplate string // NV index of the key's template; "" = none
	Out        string // file for the certificate
	Replace    bool   // that file
}

// Imported is the outcome; `--json` prints it, its field names are an interface for
// scripts.
type Imported struct {
	Platform    string `json:"platform,omitempty"`
	Handle      string `json:"handle"`
	Key         string `json:"key"`
	KeyID       string `json:"key_id"`
	Certificate string `json:"certificate"` // its subject
	Issuer      string `json:"issuer"`
	NotAfter    string `json:"not_after"`
	File        string `json:"file"`
	Settings    string `json:"strongswan_conf"`
	DeviceSQL   string `json:"device_sql"`

	trusted trusted
	from    string // where the issuer's certificate is
}

// place returns where the key is.
func (o *Import) place(ctx context.Context, p *tpm20.TPM) (k tpm20.PlatformKey, err error) {
	for _, f := range []struct {
		flag, text string
		to         *uint32
	}{{"--handle", o.Handle, &k.Handle}, {"--nv-cert", o.NVCert, &k.Certificate}, {"--nv-template", o.NVTemplate, &k.Template}} {
		if f.text == "" {
			continue
		}
		if *f.to, err = settings.ParseHandle(f.text); err != nil {
			return k, usage.Errorf("%s: %v", f.flag, err)
		}
	}
	if k.Certificate != 0 {
		if k.Handle == 0 && k.Template == 0 {
			return k, usage.Errorf("--nv-cert needs the key as well: --handle, or --nv-template")
		}
		return k, nil
	}
	found, err := p.FindPlatformKeys(ctx)
	if err != nil {
		return k, err
	}
	if len(found) > 0 {
		if k.Handle != 0 {
			found[0].Handle = k.Handle
		}
		return found[0], nil
	}
	return k, errors.New("the TPM has no attestation key that a known platform certified: name it with --nv-cert, and --handle or --nv-template; `tnc aik create` makes one")
}

// Run imports the key.
func (o *Import) Run(ctx context.Context) (*Imported, error) {
	if !o.Replace {
		if err := Absent(o.Out); err != nil {
			return nil, err
		}
	}
	t, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	p, ok := t.TPM.(*tpm20.TPM)
	if !ok {
		return nil, errors.New("platforms certify keys of TPMs 2.0, and this is a TPM 1.2")
	}
	place, err := o.place(ctx, p)
	if err != nil {
		return nil, err
	}
	der, err := p.ReadNV(ctx, place.Certificate, t.auth)
	if err != nil {
		return nil, err
	}
	all := attest.Certificates(der)
	if len(all) == 0 {
		return nil, fmt.Errorf("NV index 0x%08x holds no certificate", place.Certificate)
	}
	cert, err := x509.ParseCertificate(all[0])
	if err != nil {
		return nil, err
	}
	key, made, err := o.key(ctx, t, p, place, cert)
	if err != nil {
		return nil, err
	}
	if err := WriteNew(o.Out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644, o.Replace); err != nil {
		if made {
			err = errors.Join(err, p.RemoveKey(ctx, key.Handle, t.auth))
		}
		return nil, err
	}
	return o.imported(t, place, key, cert), nil
}

// key returns the key, which it makes persistent where it is not; made says so.
func (o *Import) key(ctx context.Context, t *openTPM, p *tpm20.TPM, place tpm20.PlatformKey, cert *x509.Certificate) (key *tpm20.Key, made bool, err error) {
	if place.Template == 0 {
		key, err = p.Key(ctx, place.Handle)
	} else {
		var template []byte
		if template, err = p.ReadNV(ctx, place.Template, t.auth); err == nil {
			key, err = p.MakePersistent(ctx, template, place.Handle, t.auth)
			made = err == nil
		}
	}
	if err != nil {
		return nil, false, err
	}
	if !attest.EqualKeys(cert.PublicKey, key.PublicKey) {
		err = fmt.Errorf("the certificate in NV index 0x%08x is of another key", place.Certificate)
	} else {
		_, _, err = tpm20.CheckAK(key.Area)
	}
	if err != nil && made {
		err = errors.Join(err, p.RemoveKey(ctx, key.Handle, t.auth))
	}
	return key, made, err
}

func (o *Import) imported(t *openTPM, place tpm20.PlatformKey, key *tpm20.Key, cert *x509.Certificate) *Imported {
	t.aik.Handle = key.Handle
	i := &Imported{
		Platform: place.Platform, Handle: fmt.Sprintf("0x%08x", key.Handle), Key: KeyName(key.PublicKey) + ", " + schemeName(key),
		KeyID: KeyID(cert.RawSubjectPublicKeyInfo), Certificate: cert.Subject.String(), Issuer: cert.Issuer.String(),
		NotAfter: cert.NotAfter.UTC().Format("2006-01-02T15:04:05Z"), File: o.Out, trusted: t.trusted(cert),
	}
	i.trusted.certificate = absolute(o.Out)
	i.Settings, i.DeviceSQL = i.trusted.settings(), i.trusted.sql()
	if len(cert.IssuingCertificateURL) > 0 {
		i.from = text.Printable(cert.IssuingCertificateURL[0])
	}
	return i
}

// WriteTable writes the outcome for people.
func (i *Imported) WriteTable(w io.Writer) {
	report.Rows(w, [2]string{"platform", i.Platform}, [2]string{"key", i.Key}, [2]string{"handle", i.Handle}, [2]string{"key ID", i.KeyID + " (strongSwan's device ID)"},
		[2]string{"certificate", fmt.Sprintf("%q, issued by %q, good until %s", i.Certificate, i.Issuer, i.NotAfter)},
		[2]string{"issuer", i.from}, [2]string{"written", i.File})
	i.trusted.writeSettings(w)
	i.trusted.writeVerifier(w)
}
