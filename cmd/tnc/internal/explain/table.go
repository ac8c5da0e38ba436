package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gotnc/gotnc/internal/base/text"
)

// WriteTable prints the table for people.
func WriteTable(w io.Writer, rows []Row) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "The gateway asked for nothing, and nothing about this machine was sent.")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "asked by\twhat\tanswered by\twith\n")
	for _, r := range rows {
		who := r.Verifier
		if who == "" {
			who = "nobody"
		}
		imc, with := r.IMC, summary(r.Answers)
		if imc == "" {
			imc = "-"
		}
		if with == "" {
			with = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", text.Printable(who), text.Printable(r.Asked), text.Printable(imc), text.Printable(with))
	}
	_ = t.Flush()
}

// summary shortens many answers to one question.
func summary(answers []string) string {
	if len(answers) > maxNames {
		return fmt.Sprintf("%s; %d more", strings.Join(answers[:2], "; "), len(answers)-2)
	}
	return strings.Join(answers, "; ")
}
