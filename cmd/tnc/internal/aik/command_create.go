package aik

import (
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/spf13/cobra"
)

func newAIKCreate() *cobra.Command {
	var o Create
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an attestation key, and the request for its certificate",
		Long: `Makes an attestation key in the TPM and writes into --out:

  aik.pub      its public key, PEM
  aik.request  for the privacy CA: ` + "`tnc aik issue`" + `. It holds a PKCS #10
               certificate request too (TPM 2.0), which any CA can certify
  aik.blob     the key itself, which only this TPM can load (TPM 1.2)

A TPM 2.0 keeps the key at a persistent handle. A TPM 1.2 must have an owner and a
storage root key with the well-known secret; --take-ownership makes that so.`,
		Example: `  sudo tnc aik create
  sudo tnc aik create --scheme ecdsa --name laptop17 --out /etc/swanctl/aik
  sudo tnc aik create --fetch-ek-cert                  # firmware TPMs of AMD and Intel
  sudo tnc aik create --take-ownership --owner-password-file /root/tpm-owner    # TPM 1.2`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = Logger(cmd)
			c, err := o.Run(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return report.WriteJSON(cmd.OutOrStdout(), c)
			}
			c.WriteTable(cmd.OutOrStdout())
			return nil
		},
	}
	TPMFlags(cmd, &o.Device)
	o.keyFlags(cmd)
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}

// keyFlags adds the flags that say which key is made.
func (o *Create) keyFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Scheme, "scheme", "rsassa", "signature scheme: rsassa, ecdsa, or rsapss, which strongSwan's verifier does not know (TPM 2.0)")
	f.StringVar(&o.Hash, "hash", "sha256", "hash of the scheme: sha256, sha384 or sha512 (TPM 2.0)")
	f.IntVar(&o.Bits, "bits", 0, "of the RSA modulus (default 2048) or of the curve (default 256) (TPM 2.0)")
	f.StringVar(&o.Hierarchy, "hierarchy", "endorsement", "whose key the new one is stored under: endorsement (the endorsement key) or owner (TPM 2.0)")
	f.StringVar(&o.Handle, "handle", "", "persistent handle (default the first free one from 0x81010003) (TPM 2.0)")
	f.StringVar(&o.EK, "ek", "auto", "endorsement key: auto is the one that the TPM has a certificate of; "+keyTypeNames()+" (TPM 2.0)")
	f.StringVar(&o.EKCert, "ek-cert", "", "file with the endorsement key's certificate, PEM or DER (default the one in the TPM)")
	f.BoolVar(&o.Fetch, "fetch-ek-cert", false, "ask the manufacturer (AMD, Intel) for the endorsement key's certificate where the TPM holds none: it learns of this TPM (TPM 2.0)")
	f.StringVar(&o.Service, "ek-cert-service", "", "address of that service, as in amd:https://host/path/ or intel:https://host/path/ (default the manufacturer's)")
	f.StringVar(&o.Name, "name", "", "common name for the certificate (default the host's name)")
	f.StringVar(&o.Out, "out", ".", "folder for the files")
	f.BoolVar(&o.Replace, "replace", false, "replace files, and the key at --handle")
	f.BoolVar(&o.TakeOwnership, "take-ownership", false, "make the holder of --owner-password-file the TPM's owner (TPM 1.2)")
}
