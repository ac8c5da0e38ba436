package running

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newReattest() *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "reattest NAME",
		Short: "Attest a connection that is up again, print the outcome",
		Long: `Has a connection that tnc up keeps attest again, over a new IKE_SA that takes over
from the old one without a gap, and prints what the gateway decided: for a machine
that was isolated and has been put right.

` + report.ExitHelp,
		Example: `  sudo tnc reattest home
  sudo tnc reattest home --json | jq -r .recommendation`,
		Args:              usage.OneConnection,
		ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return usage.Errorf("--timeout %v: a time cannot be negative", timeout)
			}
			ctx, met := client.WithTimeout(cmd.Context(), timeout)
			defer met()
			progress := report.NewProgress(cmd.ErrOrStderr())
			progress.Note("attestation")
			e, err := client.DefaultRunDir().Reattest(ctx, args[0])
			progress.End()
			if err != nil {
				return err
			}
			if asJSON {
				err = report.WriteJSON(cmd.OutOrStdout(), e)
			} else {
				report.WriteEvent(cmd.OutOrStdout(), e)
			}
			if err != nil {
				return err
			}
			return report.EventExit(e)
		},
	}
	usage.JSONFlag(cmd, &asJSON)
	usage.TimeoutFlag(cmd, &timeout)
	return cmd
}
