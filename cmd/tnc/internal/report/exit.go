// Package report says to people and scripts what a command came to: tables, JSON,
// the sentence of a failure with its remedy, exit codes, progress.
package report

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

// Exit codes; README.md and the help text list them.
const (
	ExitAllowed  = 0 // access allowed
	ExitFailure  = 1 // any other failure
	ExitUsage    = 2 // the command line is wrong
	ExitIsolated = 3 // connected, but only to the remediation network
	ExitDenied   = 4 // the verifier denied access
)

// ExitHelp is the part of help texts that lists the exit codes.
const ExitHelp = `Exit codes:
  0  access allowed
  1  any other failure; the last line on standard error says what to do
  2  the command line is wrong
  3  isolated: connected, but only to the remediation network
  4  access denied by the verifier`

// ExitError carries an exit code. With a nil Err there is nothing more to say:
// the outcome has been printed.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// UsageError returns an error of the command line.
func UsageError(format string, args ...any) error {
	return &ExitError{ExitUsage, fmt.Errorf(format, args...)}
}

// ExitCode returns with which code the program ends after err, and whether err
// has to be printed.
func ExitCode(err error) (code int, say bool) {
	if err == nil {
		return ExitAllowed, false
	}
	var e *ExitError
	if errors.As(err, &e) {
		return e.Code, e.Err != nil
	}
	return ExitFailure, true
}

// outcomeExit returns the exit code of a recommendation, and the sentence of err,
// why there was a failure, where that is what the exit code says.
func outcomeExit(r client.Recommendation, err error) (code int, sentence string) {
	switch {
	case r == client.Denied:
		return ExitDenied, ""
	case err != nil:
		return ExitFailure, err.Error()
	case r == client.Isolated:
		return ExitIsolated, ""
	}
	return ExitAllowed, ""
}

// exitWith returns what a command ends with whose outcome has been printed.
func exitWith(code int, err error) error {
	switch code {
	case ExitAllowed:
		return nil
	case ExitFailure:
		return err
	}
	return &ExitError{Code: code}
}
