package aik

import (
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/spf13/cobra"
)

func newAIKShow() *cobra.Command {
	var o Device
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the attestation key of strongswan.conf, and its certificate",
		Long: `Reads the attestation key from the TPM (2.0) or from its blob (1.2), compares it
with imc-attestation.aik_cert, and prints the public key last, in PEM.`,
		Example: `  sudo tnc aik show
  sudo tnc aik show --handle 0x81010003 --json | jq -r .key_id`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = Logger(cmd)
			s, err := o.Show(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return report.WriteJSON(cmd.OutOrStdout(), s)
			}
			s.WriteTable(cmd.OutOrStdout())
			return nil
		},
	}
	TPMFlags(cmd, &o)
	f := cmd.Flags()
	f.StringVar(&o.Handle, "handle", "", "persistent handle (default imc-attestation.aik_handle) (TPM 2.0)")
	f.StringVar(&o.Blob, "blob", "", "file with the key (default imc-attestation.aik_blob) (TPM 1.2)")
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}
