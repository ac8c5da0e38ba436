package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the connections that are up",
		Example: `  tnc status
  tnc status home --json | jq -r .[0].state`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage.Errorf("tnc status takes the name of one connection, or none for all")
			}
			return nil
		},
		ValidArgsFunction: completeUp,
		RunE: func(cmd *cobra.Command, args []string) error {
			up, err := client.DefaultRunDir().Statuses(cmd.Context())
			if err != nil {
				return err
			}
			all := []client.Status{}
			for _, s := range up {
				if len(args) == 0 || s.Connection == args[0] {
					all = append(all, s)
				}
			}
			w := cmd.OutOrStdout()
			if asJSON {
				if err := report.WriteJSON(w, all); err != nil {
					return err
				}
			}
			switch {
			case len(all) == 0 && len(args) == 1:
				return fmt.Errorf("connection %q is not up: start it with tnc up %s", args[0], args[0])
			case len(all) == 0 && !asJSON:
				fmt.Fprintln(w, "no connection is up")
			case !asJSON:
				for _, s := range all {
					report.WriteStatus(w, s)
				}
			}
			return nil
		},
	}
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}
