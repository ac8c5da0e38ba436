package command

import (
	"errors"
	"fmt"
)

// Causes of failed exchanges. Errors of this package, of tpm12, tpm20 and of
// package device wrap one of them where it applies.
var (
	ErrNoTPM   = errors.New("no TPM found")
	ErrInUse   = errors.New("another program holds the TPM")
	ErrGone    = errors.New("the TPM does not answer any more")
	ErrTimeout = errors.New("the TPM did not answer in time")
	ErrBusy    = errors.New("the TPM stays busy")
	ErrLocked  = errors.New("the TPM is locked")
	ErrReply   = errors.New("the TPM's reply is malformed")
)

// ResponseError is a response code other than success that a TPM answered a
// command with (TPM Library Part 2 section 6.6; TPM Main Part 2 section 16).
type ResponseError struct {
	Command string // "TPM2_Quote"
	Code    uint32
	Meaning
}

// Meaning is what a response code says.
type Meaning struct {
	Name  string // of the code, "TPM_RC_HANDLE"; empty for an unknown one
	Text  string // the fact in words, "there is no key at that handle"; may be empty
	Cause error  // the sentinel that the code means, such as ErrBusy; nil for none
}

// Error names the command, the code and what it says.
func (e *ResponseError) Error() string {
	s := fmt.Sprintf("%s: the TPM answered 0x%03x", e.Command, e.Code)
	if e.Name != "" {
		s += " " + e.Name
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap returns the cause.
func (e *ResponseError) Unwrap() error { return e.Cause }

// ReplyError returns the error of a reply to the named command that is
// malformed as err says. It wraps ErrReply and err.
func ReplyError(name string, err error) error { return fmt.Errorf("%s: %w: %w", name, ErrReply, err) }
