package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
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
			_, err := ask(cmd.Context(), runFile(args[0], ".sock"), "down")
			switch {
			case errors.Is(err, os.ErrPermission):
				return fmt.Errorf("end connection %q: %w: run as root", args[0], err)
			case err != nil && !isUp(args[0]):
				return fmt.Errorf("connection %q is not up", args[0])
			case err != nil:
				return fmt.Errorf("end connection %q: %w", args[0], err)
			}
			end := time.Now().Add(downTimeout)
			for isUp(args[0]) {
				if time.Now().After(end) {
					return fmt.Errorf("connection %q did not end within %v", args[0], downTimeout)
				}
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(50 * time.Millisecond):
				}
			}
			return nil
		},
	}
}
