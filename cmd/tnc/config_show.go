package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newConfigShow() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show what is understood of each connection, with defaults",
		Long: `Reads the same files as tnc config check, and shows each connection, or the one
of that name, as swanctl --list-conns does: with every default, with proposals,
identities and times as they are used, and with what keeps it from working. It
connects to nothing.`,
		Example: "  tnc config show home\n  tnc config show --ipsec-conf ./ipsec.conf\n  tnc config show --json | jq -r '.[].children[].remote_ts[]'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage.Errorf("tnc config show takes the name of one connection, or none for all")
			}
			return nil
		},
		ValidArgsFunction: o.completeConnection,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			all, err := o.Show(name)
			if err != nil {
				return report.Configured(err)
			}
			if o.json {
				return report.WriteJSON(cmd.OutOrStdout(), all)
			}
			for i, s := range all {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				report.WriteConnection(cmd.OutOrStdout(), s)
			}
			return nil
		},
	}
	o.fileFlags(cmd)
	usage.JSONFlag(cmd, &o.json)
	return cmd
}
