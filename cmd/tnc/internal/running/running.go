// Package running holds the commands about connections that tnc up keeps: status, down,
// reattest, history.
package running

import (
	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

// Commands returns the commands.
func Commands() []*cobra.Command {
	return []*cobra.Command{newDown(), newStatus(), newReattest(), newHistory()}
}

// complete offers a shell the names of the connections that are up.
func complete(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return client.DefaultRunDir().Names(), cobra.ShellCompDirectiveNoFileComp
}
