// Package report says to people and scripts what a command came to: tables, JSON,
// the sentence of a failure with its remedy, exit codes, progress.
package report

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/spf13/cobra"
)

// Exit codes; README.md and the help text list them.
const (
	ExitAllowed  = 0 // access allowed
	ExitFailure  = 1 // any other failure
	ExitUsage    = 2 // the command line is wrong
	ExitIsolated = 3 // connected, but only to the remediation network
	ExitDenied   = 4 // the verifier denied access
	ExitTimeout  = 5 // the time of --timeout was over
)

// ExitHelp is the part of help texts that lists the exit codes.
const ExitHelp = `Exit codes:
  0  access allowed
  1  any other failure; the last line on standard error says what to do
  2  the command line is wrong
  3  isolated: connected, but only to the remediation network
  4  access denied by the verifier
  5  no outcome within the time of --timeout`

// ExitHelpPlain is ExitHelp of commands that attest nothing.
const ExitHelpPlain = `Exit codes:
  0  it is done
  1  a failure; the last line on standard error says what to do
  2  the command line is wrong`

// Printed ends a command whose outcome has been printed: there is nothing more to
// say.
type Printed struct{ Code int }

func (e *Printed) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// HelpOnly is what a group does without a command.
func HelpOnly(cmd *cobra.Command, _ []string) error {
	_ = cmd.Help()
	return &Printed{Code: ExitUsage}
}

// ExitCode returns with which code the program ends after err, and whether err
// has to be printed.
func ExitCode(err error) (code int, say bool) {
	var printed *Printed
	var wrong *usage.Error
	var timeout *client.TimeoutError
	var own interface{ CommandExit() int }
	switch {
	case err == nil:
		return ExitAllowed, false
	case errors.As(err, &printed):
		return printed.Code, false
	case errors.As(err, &wrong):
		return ExitUsage, true
	case errors.As(err, &timeout):
		return ExitTimeout, true
	case errors.As(err, &own) && own.CommandExit() > ExitUsage:
		return own.CommandExit(), true
	}
	return ExitFailure, true
}

// outcomeExit returns the exit code of a recommendation, and err, why there was a failure,
// where that is what the exit code says.
func outcomeExit(r client.Recommendation, err error) (code int, f client.Failure) {
	var timeout *client.TimeoutError
	switch {
	case errors.As(err, &timeout):
		return ExitTimeout, client.Failure{Error: err.Error(), ErrorCode: CodeOf(err)}
	case r == client.Denied:
		return ExitDenied, client.Failure{ErrorCode: CodeOf(errDenied)}
	case err != nil:
		return ExitFailure, client.Failure{Error: err.Error(), ErrorCode: CodeOf(err)}
	case r == client.Isolated:
		return ExitIsolated, client.Failure{}
	}
	return ExitAllowed, client.Failure{}
}

// exitWith returns what a command ends with whose outcome has been printed.
func exitWith(code int, err error) error {
	switch code {
	case ExitAllowed:
		return nil
	case ExitFailure, ExitTimeout:
		return err
	}
	return &Printed{code}
}
