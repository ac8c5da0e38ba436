package main

import (
	"errors"
	"fmt"
)

// Exit codes; README.md and the help text list them.
const (
	exitAllowed  = 0 // access allowed
	exitFailure  = 1 // any other failure
	exitUsage    = 2 // the command line is wrong
	exitIsolated = 3 // connected, but only to the remediation network
	exitDenied   = 4 // the verifier denied access
)

const exitHelp = `Exit codes:
  0  access allowed
  1  any other failure; the last line on standard error says what to do
  2  the command line is wrong
  3  isolated: connected, but only to the remediation network
  4  access denied by the verifier`

// exitError carries an exit code. With a nil err there is nothing more to say:
// the outcome has been printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is an error of the command line.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode says with which code the program ends after err, and whether err
// still has to be printed.
func exitCode(err error) (code int, say bool) {
	if err == nil {
		return exitAllowed, false
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code, e.err != nil
	}
	return exitFailure, true
}
