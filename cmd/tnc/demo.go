package main

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/demo"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newDemo() *cobra.Command {
	var d demo.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole attestation on this machine, without root",
		Long: `Starts the reference gateway on the loopback interface, with a CA and
certificates made on the fly, connects to it with a swanctl.conf, attests with
the IMC library through dlopen, and sends a ping through the CHILD_SA in user
space. The log has the order and wording of strongSwan's; a table of what was
asked and measured follows. Nothing is left behind.

` + report.ExitHelp,
		Example: `  tnc demo
  tnc demo --fail     one measured file differs: the gateway isolates, exit code 3`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Version, d.Stdout, d.Stderr = version, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return demo.Run(cmd.Context(), d)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&d.Fail, "fail", false, "alter one of the measured files before the client connects")
	f.StringVar(&d.Library, "library", "", "IMC library (default imc-attestation.so beside this program, or in ../lib/gotnc from there)")
	f.BoolVar(&d.JSON, "json", false, "print the outcome as JSON, without log and tables")
	f.CountVarP(&d.Verbose, "verbose", "v", "log details")
	return cmd
}
