package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

func newDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down NAME",
		Short: "End a connection in order",
		Long: `Ends a connection that tnc up keeps: the gateway is told, and what was made is
removed. Returns when all of it is done. Of a connection whose tnc up was killed
it removes what is left.`,
		Example:           "  sudo tnc down home",
		Args:              oneConnection,
		ValidArgsFunction: completeUp,
		RunE: func(cmd *cobra.Command, args []string) error {
			killed, err := client.DefaultRunDir().Down(cmd.Context(), args[0])
			if err == nil && killed {
				fmt.Fprintf(cmd.OutOrStdout(), "connection %q was killed before: what it left is removed\n", args[0])
			}
			return err
		},
	}
}
