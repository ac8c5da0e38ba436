package report

import (
	"fmt"
	"io"
)

// WriteWarnings writes warnings, one a line.
func WriteWarnings(w io.Writer, warnings []error) {
	for _, err := range warnings {
		fmt.Fprintf(w, "tnc: warning: %v\n", err)
	}
}
