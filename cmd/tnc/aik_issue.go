package main

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // strongSwan's key identifier
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	tpmattest "github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/privacyca"
)

type aikIssue struct {
	caCert, caKey, name, out, certOut string
	ekCAs, ekKeys                     []string
	days                              int
	replace                           bool
}

// maxDays bounds --days: a century.
const maxDays = 36500

func newAIKIssue() *cobra.Command {
	var o aikIssue
	cmd := &cobra.Command{
		Use:   "issue REQUEST",
		Short: "Be the privacy CA: certify the attestation key of a request",
		Long: `Checks that the request is of a TPM that one of --ek-ca vouches for, and that its
key signs only what that TPM itself made; then certifies the key. The answer can
be opened by that TPM alone (` + "`tnc aik activate`" + `): it may go over any network. No TPM
is needed here.`,
		Example: `  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-ca manufacturer.pem
  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-sha256 6f3a…  # a TPM without certificate`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage.Errorf("tnc aik issue needs one file, as in: tnc aik issue aik.request")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.caCert, "ca-cert", "", "certificate of the privacy CA")
	f.StringVar(&o.caKey, "ca-key", "", "its private key")
	f.StringArrayVar(&o.ekCAs, "ek-ca", nil, "file with CA certificates of TPM manufacturers, roots and intermediates; may be repeated")
	f.StringArrayVar(&o.ekKeys, "ek-sha256", nil, "SHA-256 of the endorsement key (SubjectPublicKeyInfo) of a TPM that is known otherwise; may be repeated")
	f.StringVar(&o.name, "name", "", "common name (default what the request asks for)")
	f.IntVar(&o.days, "days", 365, "how long the certificate is good; not longer than the CA's own")
	f.StringVar(&o.out, "out", "aik.answer", "file for the answer")
	f.StringVar(&o.certOut, "cert-out", "", "file for a copy of the certificate, PEM (default: none)")
	f.BoolVar(&o.replace, "replace", false, "replace those files")
	return cmd
}

func (o *aikIssue) issuer() (*privacyca.Issuer, error) {
	if o.caCert == "" || o.caKey == "" {
		return nil, usage.Errorf("tnc aik issue needs --ca-cert and --ca-key")
	}
	if len(o.ekCAs)+len(o.ekKeys) == 0 {
		return nil, usage.Errorf("no TPM is trusted: name the CAs of TPM manufacturers with --ek-ca, or known TPMs with --ek-sha256")
	}
	if o.days < 1 || o.days > maxDays {
		return nil, usage.Errorf("--days %d: not from 1 to %d", o.days, maxDays)
	}
	certs, err := swanctl.LoadCertificates(o.caCert)
	if err != nil {
		return nil, usage.FileError(o.caCert, "--ca-cert", err)
	}
	i := &privacyca.Issuer{Certificate: certs[0], Name: o.name, Validity: time.Duration(o.days) * 24 * time.Hour}
	if i.Key, err = credential.LoadKey(o.caKey, "", nil); err != nil {
		if errors.Is(err, credential.ErrPassphrase) {
			err = errors.New("the key is encrypted: decrypt it with `openssl pkey`")
		}
		return nil, usage.FileError(o.caKey, "--ca-key", err)
	}
	if !tpmattest.EqualKeys(i.Certificate.PublicKey, i.Key.Public()) {
		return nil, fmt.Errorf("--ca-key %s is not the key of --ca-cert %s", o.caKey, o.caCert)
	}
	var cas []*x509.Certificate
	for _, file := range o.ekCAs {
		c, err := swanctl.LoadCertificates(file)
		if err != nil {
			return nil, usage.FileError(file, "--ek-ca", err)
		}
		cas = append(cas, c...)
	}
	i.Trust = privacyca.NewTrust(cas)
	for _, k := range o.ekKeys {
		b, err := hex.DecodeString(strings.ReplaceAll(k, ":", ""))
		if err != nil || len(b) != sha256.Size {
			return nil, usage.Errorf("--ek-sha256 %s: not 32 octets in hex", k)
		}
		i.Trust.Keys = append(i.Trust.Keys, [sha256.Size]byte(b))
	}
	return i, nil
}

func (o *aikIssue) run(cmd *cobra.Command, file string) error {
	i, err := o.issuer()
	if err != nil {
		return err
	}
	b, err := usage.ReadFile(file)
	if err != nil {
		return usage.FileError(file, "REQUEST", err)
	}
	r, err := privacyca.ParseRequest(b)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !o.replace { // before a certificate is made that nobody gets
		if err := cmp.Or(absent(o.out), absent(o.certOut)); err != nil {
			return err
		}
	}
	answer, cert, err := i.Issue(time.Now(), r)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if o.certOut != "" {
		if err := writeNew(o.certOut, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644, o.replace); err != nil {
			return err
		}
	}
	if err := writeNew(o.out, answer.Encode(), 0o644, o.replace); err != nil {
		return err
	}
	id, ek := sha1.Sum(cert.RawSubjectPublicKeyInfo), sha256.Sum256(r.EK)
	rows(cmd.OutOrStdout(), [2]string{"certified", fmt.Sprintf("%q until %s", cert.Subject, cert.NotAfter.Format("2006-01-02"))},
		[2]string{"key", keyName(cert.PublicKey)}, [2]string{"key ID", hex.EncodeToString(id[:]) + " (strongSwan's device ID: devices.value of its database)"},
		[2]string{"TPM", fmt.Sprintf("%v, endorsement key %v, SHA-256 %x", r.Generation, r.EKType, ek)}, [2]string{"answer", o.out})
	return nil
}
