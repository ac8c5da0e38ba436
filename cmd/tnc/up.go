package main

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newUp() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "up NAME",
		Short: "Connect, attest, and stay connected until Ctrl-C",
		Long: `Connects to the gateway of connection NAME in swanctl.conf, attests, prints the
outcome, and carries packets until it is interrupted, tnc down ends it, or the
gateway does. Keys are renewed, a changed address is told to the gateway, and a
connection that was lost comes again, as rekey_time, mobike, dpd_action and
close_action say. Device, routes and rules that it makes are removed at the end. It
needs root, or CAP_NET_ADMIN, unless --dataplane none.

` + report.ExitHelp,
		Example: `  sudo tnc up home
  sudo tnc up home --dataplane tun -v`,
		Args:              usage.OneConnection,
		ValidArgsFunction: o.completeConnection,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.connect(cmd, args[0], true) },
	}
	o.flags(cmd)
	cmd.Flags().DurationVar(&o.reattest, "reattest", 0, "attest again at this interval, over a new IKE_SA that takes the place of the old one (0 = when an IMC asks)")
	return cmd
}
