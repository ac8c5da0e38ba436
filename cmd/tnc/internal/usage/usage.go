// Package usage is what commands share about their flags: the error of a wrong
// command line, which has an exit code of its own, and the files that flags name.
package usage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Error says what is wrong in the command line.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an *Error.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// maxFile is the largest file that ReadFile reads, in octets.
const maxFile = 64 << 10

// ReadFile reads a small file: of options, a password, a key, a request.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: more than %d octets", path, maxFile)
	}
	return b, err
}

// FileError says why the file that a flag names cannot be used.
func FileError(path, flag string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: there is no such file", flag, path)
	}
	return fmt.Errorf("%s %s: %w", flag, path, err)
}
