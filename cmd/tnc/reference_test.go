package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

var updateReference = flag.Bool("update", false, "write docs/reference/commands.md")

// reference writes the help of a command and of all below it.
func reference(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "completion" && cmd.Parent().Name() == "completion" {
		return
	}
	cmd.InitDefaultHelpFlag()
	fmt.Fprintf(b, "\n## %s\n\n```text\n", cmd.CommandPath())
	long := cmd.Long
	if long == "" {
		long = cmd.Short
	}
	for _, l := range strings.Split(strings.TrimSpace(long)+"\n\n"+strings.TrimSpace(cmd.UsageString()), "\n") {
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	b.WriteString("```\n")
	for _, c := range cmd.Commands() {
		if c.Name() != "help" {
			reference(b, c)
		}
	}
}

// docs/reference/commands.md is the help of the commands.
func TestCommandReference(t *testing.T) {
	const file = "../../docs/reference/commands.md"
	var b strings.Builder
	b.WriteString("# Commands\n\n<!-- Generated from the commands' help: go test ./cmd/tnc -run TestCommandReference -update -->\n\n" +
		"What `tnc COMMAND --help` says; manual pages and completions are made of the same.\n")
	root := newRoot()
	root.InitDefaultCompletionCmd()
	reference(&b, root)
	if *updateReference {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(page), "go test ./cmd/tnc -run TestCommandReference -update writes it")
}
