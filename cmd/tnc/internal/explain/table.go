package explain

import (
	"fmt"
	"io"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// WriteTable prints the table for people.
func WriteTable(w io.Writer, rows []Row) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "The gateway asked for nothing, and nothing about this machine was sent.")
		return
	}
	t := terminal.NewTable(w, 0)
	t.Row("asked by", "what", "answered by", "with")
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
		t.Row(who, r.Asked, imc, with)
	}
	t.Flush()
}

// summary shortens many answers to one question.
func summary(answers []string) string {
	if len(answers) > maxNames {
		return fmt.Sprintf("%s; %d more", strings.Join(answers[:2], "; "), len(answers)-2)
	}
	return strings.Join(answers, "; ")
}
