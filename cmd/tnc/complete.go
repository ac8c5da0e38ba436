package main

import "github.com/spf13/cobra"

// completeConnection offers a shell the names of the connections that the files
// of the flags configure.
func (o *options) completeConnection(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if m, err := o.Connections(); err == nil {
		defer m.Close()
		for _, c := range m.Connections {
			names = append(names, c.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
