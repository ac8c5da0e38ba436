package running

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

// DownOutcome is what down came to, as --json prints it; its field names are an interface
// for scripts.
type DownOutcome struct {
	Connection string `json:"connection"`
	Killed     bool   `json:"killed"` // its tnc up was killed before: what it left is removed
}

func newDown() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "down NAME",
		Short: "End a connection in order",
		Long: `Ends a connection that tnc up keeps: the gateway is told, and what was made is
removed. Returns when all of it is done. Of a connection whose tnc up was killed
it removes what is left.

` + report.ExitHelpPlain,
		Example:           "  sudo tnc down home",
		Args:              usage.OneConnection,
		ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			killed, err := client.DefaultRunDir().Down(cmd.Context(), args[0])
			switch {
			case err != nil:
				return err
			case asJSON:
				return report.WriteJSON(cmd.OutOrStdout(), DownOutcome{args[0], killed})
			case killed:
				fmt.Fprintf(cmd.OutOrStdout(), "connection %q was killed before: what it left is removed\n", args[0])
			}
			return nil
		},
	}
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}
