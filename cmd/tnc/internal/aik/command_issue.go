package aik

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newAIKIssue() *cobra.Command {
	var o Issue
	cmd := &cobra.Command{
		Use:   "issue REQUEST",
		Short: "Be the privacy CA: certify the attestation key of a request",
		Long: `Checks that the request is of a TPM that one of --ek-ca vouches for, and that its
key signs only what that TPM itself made; then certifies the key. The answer can
be opened by that TPM alone (` + "`tnc aik activate`" + `): it may go over any network. No TPM
is needed here.`,
		Example: `  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-ca manufacturer.pem
  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-sha256 6f3a…  # a TPM without certificate`,
		Args: usage.OneFile("aik.request"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logger = logger(cmd)
			return o.Run(cmd.OutOrStdout(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.CACert, "ca-cert", "", "certificate of the privacy CA")
	f.StringVar(&o.CAKey, "ca-key", "", "its private key")
	f.StringArrayVar(&o.EKCAs, "ek-ca", nil, "file, or folder of files, with CA certificates of TPM manufacturers, roots and intermediates; may be repeated")
	f.StringArrayVar(&o.EKKeys, "ek-sha256", nil, "SHA-256 of the endorsement key (SubjectPublicKeyInfo) of a TPM that is known otherwise; may be repeated")
	f.StringVar(&o.Name, "name", "", "common name (default what the request asks for)")
	f.StringVar(&o.Product, "product", "", "operating system for the verifier's database, as in \"Debian 13 x86_64\" (default what the request says)")
	f.IntVar(&o.Days, "days", 365, "how long the certificate is good; not longer than the CA's own")
	f.StringVar(&o.Out, "out", "aik.answer", "file for the answer")
	f.StringVar(&o.CertOut, "cert-out", "", "file for a copy of the certificate, PEM (default: none)")
	f.BoolVar(&o.Replace, "replace", false, "replace those files")
	return cmd
}
