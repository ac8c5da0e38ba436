package aik

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newAIKImport() *cobra.Command {
	var o Import
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Use an attestation key that the platform made and certified",
		Long: `Takes the attestation key of a virtual machine that its platform certified already:
the certificate is in the TPM's NV memory, the key at a persistent handle or made
of a template beside the certificate, and then stored at one. Keys of Google's and
Microsoft's clouds are found by themselves.`,
		Example: `  sudo tnc aik import --out /etc/swanctl/aik/aik.crt
  sudo tnc aik import --nv-cert 0x01c10002 --nv-template 0x01c10003    # GCE, ECC
  sudo tnc aik import --nv-cert 0x01c101d0 --handle 0x81000003         # Azure`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = Logger(cmd)
			i, err := o.Run(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return report.WriteJSON(cmd.OutOrStdout(), i)
			}
			i.WriteTable(cmd.OutOrStdout())
			return nil
		},
	}
	TPMFlags(cmd, &o.Device)
	f := cmd.Flags()
	f.StringVar(&o.Handle, "handle", "", "persistent handle of the key, or for it (default the platform's, else the first free one from 0x81010003)")
	f.StringVar(&o.NVCert, "nv-cert", "", "NV index of the certificate (default where known platforms have it)")
	f.StringVar(&o.NVTemplate, "nv-template", "", "NV index of the template of the key")
	f.StringVar(&o.Out, "out", "aik.crt", "file for the certificate, PEM")
	f.BoolVar(&o.Replace, "replace", false, "replace that file")
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}
