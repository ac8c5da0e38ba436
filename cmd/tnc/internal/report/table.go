package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gotnc/gotnc/internal/base/text"
)

// table writes indented rows of a name and a value below a title. What is written
// is printable: it may hold text from strangers.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, title ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	for i, s := range title {
		title[i] = text.Printable(s)
	}
	fmt.Fprintf(t, "%s\n", strings.Join(title, "\t"))
	return t
}

func (t table) row(name, format string, args ...any) {
	fmt.Fprintf(t, "  %s\t%s\n", name, text.Printable(fmt.Sprintf(format, args...)))
}

// WriteJSON writes v as indented JSON.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Rows writes names and values in columns; those without a value are left out.
func Rows(w io.Writer, pairs ...[2]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", p[0], p[1])
		}
	}
	_ = t.Flush()
}
