// Package key makes keys that sign and never leave the TPM, and gets them certified,
// as the commands below key do.
package key

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Key is a key in a file, or at a handle of a TPM 2.0.
type Key struct {
	aik.Device
	PasswordFile string // with the key's password; "" = none
}

// opened is the key, loaded.
type opened struct {
	*tpm20.SigningKey
	tpm     *aik.TPM20
	wrapped *tpm20.WrappedKey // nil for a handle
	spki    []byte
}

func (o *opened) close() { _ = errors.Join(o.SigningKey.Close(), o.tpm.Close()) }

// open loads the key that the argument names: a file, or a handle as in 0x81010004.
func (k *Key) open(ctx context.Context, name string) (*opened, error) {
	cfg := tpm20.SigningKeyConfig{}
	var err error
	if strings.HasPrefix(name, "0x") {
		if cfg.Handle, err = settings.ParseHandle(name); err != nil {
			return nil, usage.Errorf("KEY: %v", err)
		}
	} else {
		b, err := usage.ReadFile(name)
		if err != nil {
			return nil, usage.FileError(name, "KEY", err)
		}
		w, err := keyfile.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cfg.Wrapped = &w
	}
	if cfg.Password, err = k.password(); err != nil {
		return nil, err
	}
	t, err := k.TPM20(ctx)
	if err != nil {
		return nil, err
	}
	cfg.Auth = t.Auth
	s, err := t.SigningKey(ctx, ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	o := &opened{SigningKey: s, tpm: t, wrapped: cfg.Wrapped}
	if o.spki, err = x509.MarshalPKIXPublicKey(s.Public()); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (k *Key) password() ([]byte, error) {
	if k.PasswordFile == "" {
		return nil, nil
	}
	b, err := usage.ReadFile(k.PasswordFile)
	if err != nil {
		return nil, usage.FileError(k.PasswordFile, "--password-file", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return bytes.TrimRight(line, "\r"), nil
}

// Shown describes a key; `--json` prints it, its field names are an interface for
// scripts.
type Shown struct {
	File      string `json:"file,omitempty"`
	Handle    string `json:"handle,omitempty"`
	Key       string `json:"key"`
	KeyID     string `json:"key_id"` // SHA-1 of the SubjectPublicKeyInfo
	Password  bool   `json:"password"`
	Policy    bool   `json:"policy"`
	FixedTPM  bool   `json:"fixed_tpm"`
	PublicKey string `json:"public_key"` // PEM

	lines string // of swanctl.conf
}

// shown describes the key.
func (o *opened) shown(file, handle string) *Shown {
	a := o.Describe()
	s := &Shown{
		File: file, Handle: handle, Key: aik.KeyName(o.Public()), KeyID: aik.KeyID(o.spki), Password: a.Password, Policy: a.Policy, FixedTPM: a.FixedTPM,
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: o.spki})),
	}
	if o.wrapped != nil {
		s.Password = !o.wrapped.EmptyAuth
	}
	if handle != "" {
		s.lines = fmt.Sprintf("  secrets {\n    token {\n      handle = %s\n    }\n  }\n", strings.TrimPrefix(handle, "0x"))
	}
	return s
}

// WriteTable writes the description for people, the public key in PEM last.
func (s *Shown) WriteTable(w io.Writer) {
	yes := map[bool]string{true: "yes", false: "no"}
	report.Rows(w, [2]string{"key", s.Key}, [2]string{"file", s.File}, [2]string{"handle", s.Handle}, [2]string{"key ID", s.KeyID},
		[2]string{"never leaves the TPM", yes[s.FixedTPM]}, [2]string{"password", yes[s.Password]}, [2]string{"bound to a policy", yes[s.Policy]})
	if s.lines != "" {
		fmt.Fprintf(w, "\nIn swanctl.conf:\n\n%s", s.lines)
	}
	fmt.Fprintf(w, "\n%s", s.PublicKey)
}

// Show describes the key.
func (k *Key) Show(ctx context.Context, name string) (*Shown, error) {
	if b := isBlob(name); b != nil {
		o, err := k.open12(ctx, name, b)
		if err != nil {
			return nil, err
		}
		defer o.close()
		return o.shown(name), nil
	}
	o, err := k.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if o.wrapped != nil {
		return o.shown(name, ""), nil
	}
	return o.shown("", name), nil
}

// Names are what a certificate is asked for.
type Names struct {
	Name string   // common name
	SANs []string // DNS names, addresses of mail, IP addresses, URIs
}

// request returns the template of the request.
func (n Names) request() (*x509.CertificateRequest, error) {
	if n.Name == "" || len(n.Name) > 64 {
		return nil, usage.Errorf("--name: the certificate needs a common name of at most 64 octets")
	}
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: n.Name}}
	for _, s := range n.SANs {
		ip := net.ParseIP(s)
		switch {
		case ip != nil:
			r.IPAddresses = append(r.IPAddresses, ip)
		case strings.Contains(s, "://"):
			u, err := url.Parse(s)
			if err != nil {
				return nil, usage.Errorf("--san %s: %v", s, err)
			}
			r.URIs = append(r.URIs, u)
		case strings.Contains(s, "@"):
			r.EmailAddresses = append(r.EmailAddresses, s)
		default:
			r.DNSNames = append(r.DNSNames, s)
		}
	}
	return r, nil
}

// csr makes a PKCS #10 request that the key signs.
func (o *opened) csr(template *x509.CertificateRequest) ([]byte, error) {
	return requestOf(o.SigningKey, template)
}

// requestOf makes a PKCS #10 request that the key signs.
func requestOf(k crypto.Signer, template *x509.CertificateRequest) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, template, signer{k})
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

// signer hides what else a SigningKey can do from crypto/x509.
type signer struct{ crypto.Signer }

// CSR writes the PKCS #10 request of the key to file.
func (k *Key) CSR(ctx context.Context, name string, names Names, file string, replace bool) error {
	template, err := names.request()
	if err != nil {
		return err
	}
	der, err := k.csr(ctx, name, template)
	if err != nil {
		return err
	}
	return aik.WriteNew(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o644, replace)
}

// csr returns the PKCS #10 request of the key.
func (k *Key) csr(ctx context.Context, name string, template *x509.CertificateRequest) ([]byte, error) {
	if b := isBlob(name); b != nil {
		return k.csr12(ctx, name, b, template)
	}
	o, err := k.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.close()
	return o.csr(template)
}

// Certify writes a request to file that proves that the key is in the TPM of the
// attestation key, whose certificate is in aikCert; "" is what strongswan.conf says.
func (k *Key) Certify(ctx context.Context, name string, names Names, aikCert, file string, replace bool) error {
	if isBlob(name) != nil {
		return errors.New("a key of a TPM 1.2 is not certified so: make its request with `tnc key csr`")
	}
	template, err := names.request()
	if err != nil {
		return err
	}
	var cert []byte
	if aikCert != "" {
		if cert, err = usage.ReadFile(aikCert); err != nil {
			return usage.FileError(aikCert, "--aik-cert", err)
		}
	}
	o, err := k.open(ctx, name)
	if err != nil {
		return err
	}
	defer o.close()
	ak := o.tpm.AIK
	if cert != nil {
		ak.Certificate = cert
	}
	if ak.Handle == 0 || len(ak.Certificate) == 0 {
		return errors.New("the attestation key and its certificate are needed: set imc-attestation.aik_handle and aik_cert in strongswan.conf, or give --aik-handle and --aik-cert; `tnc aik create` and `tnc aik activate` make them")
	}
	id, err := o.tpm.Identity(ctx, ak) // says where it is of another key
	if err != nil {
		return err
	}
	r := &privacyca.KeyRequest{Area: o.Area(), AIKCertificate: id.DER}
	if r.CSR, err = o.csr(template); err != nil {
		return err
	}
	c, err := o.tpm.Certify(ctx, ak.Handle, o.SigningKey, privacyca.Qualifying(r.CSR))
	if err != nil {
		return err
	}
	r.Certification = *c
	return aik.WriteNew(file, r.Encode(), 0o644, replace)
}

func marshalPublic(k crypto.Signer) ([]byte, error) { return x509.MarshalPKIXPublicKey(k.Public()) }
