package aik

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Activate opens a privacy CA's answer.
type Activate struct {
	Device
	Out     string // file for what is in it
	Named   bool   // Out was named
	Replace bool   // that file
	JSON    bool   // print Certified; for a secret its files alone
}

// Run opens the answer in file, and says to w what was in it.
func (o *Activate) Run(ctx context.Context, w io.Writer, file string) error {
	b, err := usage.ReadFile(file)
	if err != nil {
		return usage.FileError(file, "ANSWER", err)
	}
	var answer *privacyca.Answer
	raw := bytes.HasPrefix(b, []byte{0xba, 0xdc, 0xc0, 0xde})
	if !raw {
		if answer, err = privacyca.ParseAnswer(b); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	t, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	if raw {
		return o.secret(ctx, w, t, b)
	}
	cert, err := o.certificate(ctx, t, answer)
	if err != nil {
		return err
	}
	return o.write(w, t, cert)
}

// certificate opens an answer by whichever TPM this is.
func (o *Activate) certificate(ctx context.Context, t *openTPM, a *privacyca.Answer) (*x509.Certificate, error) {
	if p, ok := t.TPM.(*tpm20.TPM); ok {
		handle, err := t.keyHandle()
		if err != nil {
			return nil, err
		}
		return a.Activate20(ctx, p, handle, t.auth)
	}
	blob, err := t.keyBlob()
	if err != nil {
		return nil, err
	}
	return a.Activate12(ctx, t.TPM.(*tpm12.TPM), blob, t.owner())
}

// secret opens a file of tpm2_makecredential.
func (o *Activate) secret(ctx context.Context, w io.Writer, t *openTPM, b []byte) error {
	p, ok := t.TPM.(*tpm20.TPM)
	if !ok {
		return errors.New("a file of tpm2_makecredential is for a TPM 2.0, and this is a TPM 1.2")
	}
	if !o.Named {
		return usage.Errorf("a file of tpm2_makecredential holds a secret, no certificate: name the file for it with --out")
	}
	c, err := tpm20.ParseCredential(b)
	if err != nil {
		return err
	}
	handle, err := t.keyHandle()
	if err != nil {
		return err
	}
	ek, err := parseEK(o.EK, func() (tpm20.KeyType, error) { return p.CertifiedKeyType(ctx) })
	if err != nil {
		return err
	}
	secret, err := p.ActivateCredential(ctx, handle, ek, c, t.auth)
	if err != nil {
		return err
	}
	if err := WriteNew(o.Out, secret, 0o600, o.Replace); err != nil {
		return err
	}
	if o.JSON {
		return report.WriteJSON(w, struct {
			Files []string `json:"files"`
		}{[]string{o.Out}})
	}
	fmt.Fprintf(w, "the secret is in %s\n", o.Out)
	return nil
}
