package main

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newAttest() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "attest NAME",
		Short: "Connect, attest, print the outcome, disconnect",
		Long: `Connects to the gateway of connection NAME in swanctl.conf, answers what its
verifiers ask, prints what they decided, and disconnects. No packet is carried
unless --dataplane says so; no rights are needed beyond those to measure.

` + report.ExitHelp,
		Example: `  tnc attest home
  tnc attest home --json | jq -r .recommendation
  tnc attest home --explain
  tnc attest home -v --swanctl ./swanctl.conf --tnc-config ./tnc_config`,
		Args:              usage.OneConnection,
		ValidArgsFunction: o.completeConnection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.dataplane == "auto" {
				o.dataplane = "none" // nothing is to be carried
			}
			return o.connect(cmd, args[0], false)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.explain, "explain", false, "print what each verifier asked for and what it was answered, in plain words")
	return cmd
}
