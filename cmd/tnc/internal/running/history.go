package running

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newHistory() *cobra.Command {
	var asJSON bool
	var last int
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "List what happened to a connection, and what was decided",
		Long: `Lists when a connection that tnc up keeps was up, lost, attested again, and what was
decided and failed: the newest 200 events since the machine was started. Everyone may
ask. The journal keeps each for longer: journalctl TNC_CONNECTION=NAME.

` + report.ExitHelpPlain,
		Example: `  tnc history home
  tnc history home --last 1 --json | jq -r .[0].recommendation`,
		Args:              usage.OneConnection,
		ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			if last < 0 {
				return usage.Errorf("--last %d: a number cannot be negative", last)
			}
			all, err := client.DefaultRunDir().History(args[0])
			if err != nil {
				return err
			}
			if last > 0 {
				all = all[max(0, len(all)-last):]
			}
			if asJSON {
				return report.WriteJSON(cmd.OutOrStdout(), all)
			}
			report.WriteHistory(cmd.OutOrStdout(), all)
			return nil
		},
	}
	usage.JSONFlag(cmd, &asJSON)
	cmd.Flags().IntVar(&last, "last", 0, "list as many of the newest events (default all)")
	return cmd
}
