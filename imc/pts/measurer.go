package pts

import (
	"context"
	"errors"

	"github.com/gotnc/gotnc/imc/patnc"
)

// Causes that a Measurer reports and that the Machine answers with a PTS error;
// every other error ends the turn without an answer.
var (
	ErrNotFound    = errors.New("no such file or directory")
	ErrInvalidPath = errors.New("path cannot be measured")
)

// Measurer reads the files that a verifier asks about. Paths come from the
// verifier as they are. Implementations bound the work of one call, and return
// an error that wraps ErrNotFound or ErrInvalidPath where that is the cause.
type Measurer interface {
	// Measure returns the digest of the file path, or of the regular files of
	// the directory path whose names do not begin with a dot.
	Measure(ctx context.Context, path string, directory bool, alg HashAlgorithms) ([]MeasuredFile, error)
	// Metadata returns the metadata of the same files.
	Metadata(ctx context.Context, path string, directory bool) ([]FileMetadata, error)
	// Symlinks returns the symbolic links of a directory that lead to directories.
	Symlinks(ctx context.Context, directory string) ([]patnc.Symlink, error)
}

// ConnectionMeasurer is a Measurer that remembers what it measured for one
// connection. NewMachine asks it for a Measurer of its own.
type ConnectionMeasurer interface {
	Measurer
	ForConnection() Measurer
}
