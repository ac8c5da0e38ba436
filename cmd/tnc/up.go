package main

import "github.com/spf13/cobra"

func newUp() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "up NAME",
		Short: "Connect, attest, and stay connected until Ctrl-C",
		Long: `Connects to the gateway of connection NAME in swanctl.conf, attests, prints the
outcome, and carries packets until it is interrupted or the gateway ends the
connection. Device, routes and rules that it makes are removed at the end. It
needs root, or CAP_NET_ADMIN, unless --dataplane none.

` + exitHelp,
		Example: `  sudo tnc up home
  sudo tnc up home --dataplane tun -v`,
		Args: oneConnection,
		RunE: func(cmd *cobra.Command, args []string) error { return o.connect(cmd, args[0], 1, true) },
	}
	o.flags(cmd)
	return cmd
}
