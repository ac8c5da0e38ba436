package aik

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newAIKActivate() *cobra.Command {
	var o Activate
	cmd := &cobra.Command{
		Use:   "activate ANSWER",
		Short: "Open a privacy CA's answer with the TPM: the key's certificate",
		Long: `Opens what a privacy CA answered to aik.request, which only this TPM can do, and
writes the certificate that is in it. A file of tpm2_makecredential is opened
too: then the secret in it is written.`,
		Example: `  sudo tnc aik activate aik.answer --out /etc/swanctl/aik/aik.crt
  sudo tnc aik activate credential.bin --ek ecc --out secret`,
		Args: usage.OneFile("aik.answer"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logger, o.Named = Logger(cmd), cmd.Flags().Changed("out")
			return o.Run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	TPMFlags(cmd, &o.Device)
	usage.JSONFlag(cmd, &o.JSON)
	f := cmd.Flags()
	f.StringVar(&o.Handle, "handle", "", "persistent handle (default imc-attestation.aik_handle) (TPM 2.0)")
	f.StringVar(&o.Blob, "blob", "", "file with the key (default imc-attestation.aik_blob) (TPM 1.2)")
	f.StringVar(&o.EK, "ek", "auto", "endorsement key of a tpm2_makecredential file: auto, "+keyTypeNames()+"; an answer tells it")
	f.StringVar(&o.Out, "out", "aik.crt", "file for the certificate, PEM")
	f.BoolVar(&o.Replace, "replace", false, "replace that file")
	return cmd
}
