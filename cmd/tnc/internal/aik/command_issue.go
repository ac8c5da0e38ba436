package aik

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newAIKIssue() *cobra.Command {
	var o Serve
	cmd := &cobra.Command{
		Use:   "issue [REQUEST]",
		Short: "Be the privacy CA: certify the attestation key of a request",
		Long: `Checks that the request is of a TPM that one of --ek-ca vouches for, and that its
key signs only what that TPM itself made; then certifies the key. The answer can
be opened by that TPM alone (` + "`tnc aik activate`" + `): it may go over any network. No TPM
is needed here.

A request of ` + "`tnc key certify`" + ` is answered with a certificate where the attestation key
that vouches for the key has one of this CA. The names in it are those that the
request asks for: look at them.

With --serve it answers ` + "`tnc aik enroll`" + ` over HTTPS: every TPM that --ek-ca and
--ek-sha256 trust, or with --approved those of the list alone (a line is the SHA-256
of an endorsement key and the name that the machine gets; it is read at each request);
with --pending others wait in that folder until a person answers NUMBER.request with
` + "`tnc aik issue`" + `, into NUMBER.answer.`,
		Example: `  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-ca manufacturer.pem
  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-sha256 6f3a…  # a TPM without certificate
  tnc aik issue --serve :8443 --tls-cert tls.pem --tls-key tls.key --ca-cert ca.pem --ca-key ca.key --ek-ca tpm-cas/ --approved list
  tnc aik issue key.request --ca-cert ca.pem --ca-key ca.key`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.Address != "" {
				if o.JSON {
					return usage.Errorf("--serve and --json exclude each other: what is answered is in the log")
				}
				return usage.NoArgs(cmd, args)
			}
			return usage.OneFile("aik.request")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logger = Logger(cmd)
			if o.Address == "" {
				return o.Issue.Run(cmd.OutOrStdout(), args[0])
			}
			o.Listening = func(at net.Addr) { fmt.Fprintf(cmd.OutOrStdout(), "serving https://%s\n", at) }
			o.Logger = profile.LogLevels(nil).Logger(cmd.ErrOrStderr(), 1)
			return o.Run(cmd.Context())
		},
	}
	usage.JSONFlag(cmd, &o.JSON)
	f := cmd.Flags()
	f.StringVar(&o.CACert, "ca-cert", "", "certificate of the privacy CA")
	f.StringVar(&o.CAKey, "ca-key", "", "its private key")
	f.StringArrayVar(&o.EKCAs, "ek-ca", nil, "file, or folder of files, with CA certificates of TPM manufacturers, roots and intermediates; may be repeated")
	f.StringArrayVar(&o.EKKeys, "ek-sha256", nil, "SHA-256 of the endorsement key (SubjectPublicKeyInfo) of a TPM that is known otherwise; may be repeated")
	f.StringVar(&o.Name, "name", "", "common name (default what the request asks for)")
	f.StringVar(&o.Product, "product", "", "operating system for the verifier's database, as in \"Debian 13 x86_64\" (default what the request says)")
	f.IntVar(&o.Days, "days", 365, "how long the certificate is good; not longer than the CA's own")
	f.StringVar(&o.Out, "out", "", "file for the answer (default aik.answer; the certificate of `tnc key certify`: key.crt)")
	f.StringVar(&o.CertOut, "cert-out", "", "file for a copy of the certificate, PEM (default: none)")
	f.StringVar(&o.Address, "serve", "", "answer requests over HTTPS at this address, as in :8443")
	f.StringVar(&o.TLSCert, "tls-cert", "", "certificate of the HTTPS server")
	f.StringVar(&o.TLSKey, "tls-key", "", "its private key")
	f.StringVar(&o.Approved, "approved", "", "file with the endorsement keys that are approved, each with a name")
	f.StringVar(&o.Pending, "pending", "", "folder for requests that wait for a person")
	f.BoolVar(&o.Replace, "replace", false, "replace those files")
	return cmd
}
