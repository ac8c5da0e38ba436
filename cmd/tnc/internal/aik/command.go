package aik

import (
	"log/slog"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/spf13/cobra"
)

// Command returns the group of commands.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aik",
		Short: "Make the TPM's attestation key and get it certified",
		Long: `Makes an Attestation Identity Key (AIK), with which the TPM signs what this
machine booted and runs, and gets a certificate of it from a privacy CA without
the machine being carried there:

  here      tnc aik create                      makes the key and aik.request
  the CA    tnc aik issue aik.request ...       checks the TPM's own certificate, makes aik.answer
  here      tnc aik activate aik.answer         only this TPM can open it: aik.crt

The CA's part needs no TPM. ` + "`tnc aik enroll`" + ` does all of it over HTTPS.`,
		Args: usage.Subcommand,
		RunE: report.HelpOnly,
	}
	cmd.AddCommand(newAIKCreate(), newAIKShow(), newAIKActivate(), newAIKIssue(), newAIKImport(), newAIKEnroll())
	return cmd
}

// TPMFlags adds the flags of the commands that use the TPM.
func TPMFlags(cmd *cobra.Command, d *Device) {
	f := cmd.Flags()
	usage.StrongswanFlag(cmd, &d.Strongswan)
	f.StringVar(&d.TCTI, "tcti", "", "TPM, as in device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321 (default plugins.tpm.tcti of strongswan.conf)")
	f.StringVar(&d.OwnerFile, "owner-password-file", "", "file whose first line is the password of the TPM's owner (default: none; of a TPM 1.2 the well-known secret)")
	f.StringVar(&d.EndorsementFile, "endorsement-password-file", "", "file whose first line is the password of a TPM 2.0's endorsement hierarchy (default: none)")
}

// Logger writes warnings to standard error.
func Logger(cmd *cobra.Command) *slog.Logger {
	return profile.LogLevels(nil).Logger(cmd.ErrOrStderr(), 0)
}
