package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: usage.Subcommand, RunE: report.HelpOnly}
	var o options
	check := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong in the configuration, with file and line",
		Long: `Reads strongswan.conf, swanctl.conf or ipsec.conf with their secrets and
certificates, and tnc_config. What would keep a connection from working is an
error, what has no effect a warning. Exit code 1 where there is an error.`,
		Example: "  tnc config check\n  tnc config check --swanctl ./swanctl.conf",
		Args:    usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := report.NewFindings(o.Check(time.Now()))
			if o.json {
				if err := report.WriteJSON(cmd.OutOrStdout(), found); err != nil {
					return err
				}
			} else {
				found.Write(cmd.OutOrStdout(), false)
			}
			if bad := found.Errors(); bad > 0 {
				return fmt.Errorf("errors in the configuration: %d", bad)
			}
			return nil
		},
	}
	o.fileFlags(check)
	usage.JSONFlag(check, &o.json)
	cmd.AddCommand(check, newConfigShow())
	return cmd
}
