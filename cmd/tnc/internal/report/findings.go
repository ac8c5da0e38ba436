package report

import (
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// Findings are what config check and doctor found. As JSON their field names are an
// interface for scripts.
type Findings []Finding

// Finding is one thing that was looked at.
type Finding struct {
	Kind   profile.Kind `json:"kind"` // ok, note, warning, error
	Text   string       `json:"text"`
	Remedy string       `json:"remedy,omitempty"`
}

// NewFindings returns fs for a report.
func NewFindings(fs []profile.Finding) Findings {
	all := Findings{}
	for _, f := range fs {
		all = append(all, Finding(f))
	}
	return all
}

// Errors returns how many findings keep a connection from working.
func (fs Findings) Errors() (n int) {
	for _, f := range fs {
		if f.Kind == profile.Error {
			n++
		}
	}
	return n
}

var findingColours = map[profile.Kind]terminal.Colour{
	profile.OK: terminal.Good, profile.Warning: terminal.Doubtful, profile.Error: terminal.Bad,
}

// Write writes the findings for people, the remedy behind the text, or where it is to
// stand out below it.
func (fs Findings) Write(w io.Writer, below bool) {
	t := terminal.NewTable(w, 0)
	for _, f := range fs {
		kind := (string(f.Kind) + "       ")[:len(profile.Warning)]
		what := f.Text
		if f.Remedy != "" && !below {
			what += ": " + f.Remedy
		}
		t.Cells(terminal.Cell{Text: kind, Colour: findingColours[f.Kind]}, terminal.Cell{Text: what})
		if f.Remedy != "" && below {
			t.Row("", "  "+f.Remedy)
		}
	}
	t.Flush()
}
