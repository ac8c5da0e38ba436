package aik

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newAIKEnroll() *cobra.Command {
	var o Enroll
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Make an attestation key, get it certified over HTTPS, renew that",
		Long: `Does what create, a privacy CA and activate do, over HTTPS with the one that runs
` + "`tnc aik issue --serve`" + `: leaves aik.pub, aik.request and aik.crt in --out. Run again it goes
on where it was, as after a person has approved the request.

With --renew it gets another certificate for the same key once the one in --out ends
within --before, and does nothing earlier: for a timer.`,
		Example: `  sudo tnc aik enroll --ca https://ca.example.org:8443 --ca-file ca.pem --out /etc/swanctl/aik
  sudo tnc aik enroll --ca https://ca.example.org:8443 --ca-file ca.pem --out /etc/swanctl/aik --renew`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = Logger(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	TPMFlags(cmd, &o.Device)
	o.keyFlags(cmd)
	usage.JSONFlag(cmd, &o.JSON)
	f := cmd.Flags()
	f.StringVar(&o.CA, "ca", "", "address of the privacy CA, as in https://ca.example.org:8443")
	f.StringVar(&o.CAFile, "ca-file", "", "file with the CA certificates that its TLS certificate is checked with (default the system's)")
	f.BoolVar(&o.Renew, "renew", false, "renew the certificate in --out if it ends soon (TPM 2.0)")
	f.DurationVar(&o.Before, "before", 30*24*time.Hour, "how long before its end")
	f.DurationVar(&o.Wait, "wait", 0, "how long to wait for a person's approval (default not at all: run it again)")
	return cmd
}
