package report

import (
	"fmt"
	"io"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// table writes indented rows of a name and a value below a title. What is written
// is printable: it may hold text from strangers.
type table struct{ *terminal.Table }

func newTable(w io.Writer, title ...string) table {
	t := table{terminal.NewTable(w, 0)}
	t.Row(title...)
	return t
}

func (t table) row(name, format string, args ...any) {
	t.Row("  "+name, fmt.Sprintf(format, args...))
}

// decision writes a row in the colour of a recommendation.
func (t table) decision(r client.Recommendation, name, text string) {
	t.Cells(terminal.Cell{Text: "  " + name}, terminal.Cell{Text: text, Colour: colourOf(r)})
}

func colourOf(r client.Recommendation) terminal.Colour {
	switch r {
	case client.Allowed:
		return terminal.Good
	case client.Isolated:
		return terminal.Doubtful
	case client.Denied:
		return terminal.Bad
	}
	return terminal.Plain
}

// Rows writes names and values in columns; those without a value are left out.
func Rows(w io.Writer, pairs ...[2]string) {
	t := terminal.NewTable(w, 0)
	for _, p := range pairs {
		if p[1] != "" {
			t.Row(p[0], p[1])
		}
	}
	t.Flush()
}
