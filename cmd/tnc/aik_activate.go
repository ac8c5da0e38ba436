package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

type aikActivate struct {
	aikOptions
	out     string
	replace bool
}

func newAIKActivate() *cobra.Command {
	var o aikActivate
	cmd := &cobra.Command{
		Use:   "activate ANSWER",
		Short: "Open a privacy CA's answer with the TPM: the key's certificate",
		Long: `Opens what a privacy CA answered to aik.request, which only this TPM can do, and
writes the certificate that is in it. A file of tpm2_makecredential is opened
too: then the secret in it is written.`,
		Example: `  sudo tnc aik activate aik.answer --out /etc/swanctl/aik/aik.crt
  sudo tnc aik activate credential.bin --ek ecc --out secret`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage.Errorf("tnc aik activate needs one file, as in: tnc aik activate aik.answer")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.handle, "handle", "", "persistent handle (default imc-attestation.aik_handle) (TPM 2.0)")
	f.StringVar(&o.blob, "blob", "", "file with the key (default imc-attestation.aik_blob) (TPM 1.2)")
	f.StringVar(&o.ek, "ek", "auto", "endorsement key of a tpm2_makecredential file: auto, rsa, ecc, ecc384; an answer tells it")
	f.StringVar(&o.out, "out", "aik.crt", "file for the certificate, PEM")
	f.BoolVar(&o.replace, "replace", false, "replace that file")
	return cmd
}

func (o *aikActivate) run(cmd *cobra.Command, file string) error {
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
	ctx := cmd.Context()
	t, err := o.open(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer t.Close()
	if raw {
		return o.secret(cmd, t, b)
	}
	cert, err := o.certificate(ctx, t, answer)
	if err != nil {
		return err
	}
	if err := writeNew(o.out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644, o.replace); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "certificate of %q, issued by %q, good until %s\n", cert.Subject, cert.Issuer, cert.NotAfter.Format("2006-01-02"))
	sayInConf(cmd.OutOrStdout(), "aik_cert", absolute(o.out))
	return nil
}

// certificate opens an answer by whichever TPM this is.
func (o *aikActivate) certificate(ctx context.Context, t *aikTPM, a *privacyca.Answer) (*x509.Certificate, error) {
	if p, ok := t.TPM.(*tpm20.TPM); ok {
		handle, err := t.handleOf()
		if err != nil {
			return nil, err
		}
		return a.Activate20(ctx, p, handle, t.auth)
	}
	blob, err := t.blobOf()
	if err != nil {
		return nil, err
	}
	return a.Activate12(ctx, t.TPM.(*tpm12.TPM), blob, t.owner())
}

// secret opens a file of tpm2_makecredential.
func (o *aikActivate) secret(cmd *cobra.Command, t *aikTPM, b []byte) error {
	p, ok := t.TPM.(*tpm20.TPM)
	if !ok {
		return errors.New("a file of tpm2_makecredential is for a TPM 2.0, and this is a TPM 1.2")
	}
	if !cmd.Flags().Changed("out") {
		return usage.Errorf("a file of tpm2_makecredential holds a secret, no certificate: name the file for it with --out")
	}
	ctx := cmd.Context()
	c, err := tpm20.ParseCredential(b)
	if err != nil {
		return err
	}
	handle, err := t.handleOf()
	if err != nil {
		return err
	}
	ek, err := parseEK(o.ek, func() (tpm20.KeyType, error) { return p.CertifiedKeyType(ctx) })
	if err != nil {
		return err
	}
	secret, err := p.ActivateCredential(ctx, handle, ek, c, t.auth)
	if err != nil {
		return err
	}
	if err := writeNew(o.out, secret, 0o600, o.replace); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "the secret is in %s\n", o.out)
	return nil
}
