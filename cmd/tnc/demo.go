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
space. It prints what was asked and measured, and the decision. With -v the log
has the order and wording of strongSwan's. Nothing is left behind.

` + report.ExitHelp,
		Example: `  tnc demo
  tnc demo --fail     one measured file differs: the gateway isolates, exit code 3
  tnc demo -v         with the log of the run`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Version, d.Stdout, d.Stderr = version, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return demo.Run(cmd.Context(), d)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&d.Fail, "fail", false, "alter one of the measured files before the client connects")
	f.StringVar(&d.Library, "library", "", "IMC library (default imc-attestation.so beside this program, or in ../lib/gotnc from there)")
	usage.JSONFlag(cmd, &d.JSON)
	usage.VerboseFlag(cmd, &d.Verbose)
	return cmd
}
