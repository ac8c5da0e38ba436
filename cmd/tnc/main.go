// Command tnc connects to a gateway, proves to it what this machine is, and
// keeps the tunnel: IKEv2, EAP-TTLS, EAP-TNC, PB-TNC, and the IMCs that
// tnc_config names.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imchost"
	"github.com/gotnc/gotnc/cmd/tnc/internal/key"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/running"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// version is set by the linker (Makefile).
var version = "unknown"

func main() {
	imchost.Main(version)
	dlimc.ChildMain()
	protect()
	// A reader that goes away (tnc demo | head) is an error of Write, so that
	// what was made is removed all the same.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := newRoot()
	cmd.SetArgs(args)
	cmd.SetErr(stderr)
	asJSON := report.WantsJSON(args)
	out := &report.Once{Writer: stdout}
	if cmd.SetOut(stdout); asJSON {
		cmd.SetOut(out)
	}
	ran, err := cmd.ExecuteContextC(ctx)
	err = report.WithRemedy(err)
	code, say := report.ExitCode(err)
	if say {
		terminal.Line(stderr, 5, "tnc: %s", report.Sentences(err))
		if code == report.ExitUsage {
			more := "Run 'tnc help' for the commands and flags."
			if ran.HasParent() && ran.Name() != "help" {
				more = fmt.Sprintf("Run '%s --help' for its flags, 'tnc help' for the commands.", ran.CommandPath())
			}
			terminal.Line(stderr, 0, "%s", more)
		}
		if asJSON && !out.Written {
			_ = report.WriteJSON(stdout, report.NewErrorOutcome(err, code))
		}
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tnc",
		Short: "Prove to a gateway what this machine is, and get a tunnel",
		Long: `tnc connects to an IKEv2 gateway, answers what its verifiers ask through the
IMCs of tnc_config, and says what they decided.

` + report.ExitHelp,
		Example: `  tnc attest home                connect, attest, print the outcome, disconnect
  sudo tnc up home               the same, then stay connected
  tnc attest home --json | jq .  for scripts
  tnc demo                       a whole run on this machine, without root`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       programVersion(),
		Args:          usage.Subcommand,
		RunE:          report.HelpOnly,
	}
	root.Flags().Bool("version", false, "print the version")
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newAttest(), newUp(), newConfig(), newDoctor(), newMeasure(), aik.Command(), key.Command(), newPTTLS(), newDemo(), newIMC(), newVersion())
	root.AddCommand(running.Commands()...)
	root.SetHelpCommand(newHelp(root))
	usage.Finish(root, report.ExitHelpPlain)
	return root
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Say what a command does, with its flags",
		Example: "  tnc help attest\n  tnc help config check",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return usage.Errorf("%v", err)
			}
			if err := usage.Subcommand(cmd, rest); err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version of tnc, of Go, and the platform.\n\n" + report.ExitHelpPlain,
		Example: "  tnc version --json | jq -r .version",
		Args:    usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return report.WriteJSON(cmd.OutOrStdout(), report.Version{Version: versionName(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH})
			}
			fmt.Fprintln(cmd.OutOrStdout(), programVersion())
			return nil
		},
	}
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}

func versionName() string {
	if bi, ok := debug.ReadBuildInfo(); ok && version == "unknown" && bi.Main.Version != "" {
		return bi.Main.Version
	}
	return version
}

// programVersion is the line of tnc version.
func programVersion() string {
	return fmt.Sprintf("tnc %s, %s %s/%s", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
