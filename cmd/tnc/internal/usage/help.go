package usage

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gotnc/gotnc/internal/base/config"
)

// helpTemplate is cobra's, with flags that fit a terminal of 80 columns.
const helpTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

'{{.CommandPath}} COMMAND --help' says more of a command.{{end}}
`

// Finish makes the help of all commands alike: exitCodes follow what each does, where it
// does not list its own, and a word that is no flag is an *Error that says which may be
// meant.
func Finish(root *cobra.Command, exitCodes string) {
	root.SetUsageTemplate(helpTemplate)
	root.SetFlagErrorFunc(flagError)
	root.InitDefaultCompletionCmd()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		completion(cmd)
		if cmd.Long == "" {
			cmd.Long = cmd.Short + "."
		}
		if !strings.Contains(cmd.Long, "Exit codes:") {
			cmd.Long = strings.TrimRight(cmd.Long, "\n") + "\n\n" + exitCodes
		}
		cmd.Long, cmd.Example = fitText(cmd.Long), fitText(cmd.Example)
		cmd.InitDefaultHelpFlag()
		if h := cmd.Flags().Lookup("help"); h != nil {
			h.Usage = "print this help"
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
}

// completion words cobra's command as the others are.
func completion(cmd *cobra.Command) {
	switch {
	case cmd.Name() == "completion":
		cmd.Short, cmd.Long, cmd.Args = "Print the completions of a shell", "", Subcommand
		cmd.Example = "  tnc completion bash"
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			return Errorf("%s needs a shell, as in: %s bash", cmd.CommandPath(), cmd.CommandPath())
		}
	case cmd.Parent() != nil && cmd.Parent().Name() == "completion":
		cmd.Short = "Print the completions of " + cmd.Name()
		if _, rest, ok := strings.Cut(cmd.Long, "\n"); ok { // without cobra's first sentence
			cmd.Long = "Prints the completions of " + cmd.Name() + ".\n" + rest
		}
		cmd.Args, cmd.RunE = NoArgs, printCompletions
		if f := cmd.Flags().Lookup("no-descriptions"); f != nil {
			f.Usage = "leave descriptions out"
		}
	}
}

// printCompletions writes the script of the shell that the command is named after.
func printCompletions(cmd *cobra.Command, _ []string) error {
	plain, err := cmd.Flags().GetBool("no-descriptions")
	if err != nil {
		return err
	}
	root, w := cmd.Root(), cmd.OutOrStdout()
	switch cmd.Name() {
	case "bash":
		return root.GenBashCompletionV2(w, !plain)
	case "zsh":
		if plain {
			return root.GenZshCompletionNoDesc(w)
		}
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, !plain)
	}
	if plain {
		return root.GenPowerShellCompletion(w)
	}
	return root.GenPowerShellCompletionWithDesc(w)
}

func flagError(cmd *cobra.Command, err error) error {
	var none *pflag.NotExistError
	if !errors.As(err, &none) || none.GetSpecifiedShortnames() != "" {
		return &Error{err}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	return Errorf("%w%s", err, config.Suggest("--"+none.GetSpecifiedName(), known))
}
