package usage

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/spf13/cobra"
)

// NoArgs refuses arguments.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Errorf("%s takes no argument, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// Subcommand refuses what is no command of a group.
func Subcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		var known []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				known = append(known, c.Name())
			}
		}
		return Errorf("%q is not a command of %s%s", args[0], cmd.CommandPath(), config.Suggest(args[0], known))
	}
	return nil
}

// OneFile returns a check that there is one argument, a file; example is one.
func OneFile(example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return Errorf("%s needs one file, as in: %s %s", cmd.CommandPath(), cmd.CommandPath(), example)
		}
		return nil
	}
}

// StrongswanFlag adds the flag that names strongswan.conf.
func StrongswanFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "strongswan-conf", "", "strongswan.conf to read (default $STRONGSWAN_CONF, then /etc/strongswan.conf)")
}

// OneConnection refuses anything but the name of one connection.
func OneConnection(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return Errorf("%s needs the name of one connection, as in: %s home", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

// TimeoutFlag adds the flag that limits the time until an outcome.
func TimeoutFlag(cmd *cobra.Command, to *time.Duration) {
	cmd.Flags().DurationVar(to, "timeout", 0, "give up where there is no outcome after this time, as in 30s or 2m (default none)")
}

// VerboseFlag adds the flag that asks for the log.
func VerboseFlag(cmd *cobra.Command, to *int) {
	cmd.Flags().CountVarP(to, "verbose", "v", "log as strongSwan does, on standard error; twice for details")
}

// JSONFlag adds the flag that asks for JSON.
func JSONFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "json", false, "print JSON (docs/json.md)")
}
