package main

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

func newDown() *cobra.Command {
	return &cobra.Command{
		Use:               "down NAME",
		Short:             "End a connection in order",
		Long:              "Ends a connection that tnc up keeps: the gateway is told, and what was made is\nremoved. Returns when all of it is done.",
		Example:           "  sudo tnc down home",
		Args:              oneConnection,
		ValidArgsFunction: completeUp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return client.DefaultRunDir().Down(cmd.Context(), args[0])
		},
	}
}
