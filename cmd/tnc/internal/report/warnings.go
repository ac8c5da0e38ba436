package report

import (
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// WriteWarnings writes warnings, one a line.
func WriteWarnings(w io.Writer, warnings []error) {
	for _, err := range warnings {
		terminal.Line(w, 5, "tnc: warning: %v", err)
	}
}
