package measure

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
	"github.com/gotnc/gotnc/imc/evidence"
)

// WriteTable writes the outcome for people.
func (m *Outcome) WriteTable(out io.Writer) {
	w := terminal.NewTable(out, 0)
	row := func(name, format string, v ...any) { w.Row(name, fmt.Sprintf(format, v...)) }
	if t := m.TPM; t != nil {
		row("TPM", "%s %s %s, revision %s, firmware %s", t.Generation, t.Manufacturer, t.Vendor, t.Revision, t.Firmware)
		row("banks", "%s", strings.Join(t.Banks, " "))
		if m.AIKError != "" {
			row("AIK", "none: %s", m.AIKError)
		} else {
			row("AIK", "%s", m.AIK)
		}
	} else if m.failed != nil {
		row("TPM", "cannot be read")
	} else {
		row("TPM", "none: %s", m.TPMError)
	}
	row("reported bank", "%s, started from locality %d", m.Bank, m.Locality)
	for _, c := range m.Components {
		row("component", "%s", c.Name)
		row("", "%s", describe(c))
		if c.Log != "" && c.Log != os.DevNull {
			row("", "%s", c.Log)
		}
	}
	if m.BootAggregate != "" {
		row("boot aggregate", "%s", m.BootAggregate)
	}
	for _, n := range m.Notes {
		row("note", "%s", n)
	}
	w.Flush()
	m.writePCRs(out)
	m.writeExplained(out)
	if m.Result == Matches || m.Result == TPMLeftOut || m.Result == NoTPM || m.Result == Nothing {
		fmt.Fprintln(out)
		terminal.Line(out, 0, "%s", m.Sentence) // the others are errors, which are said once
	}
}

// describe says what the log of a component holds.
func describe(c evidence.Component) string {
	what := fmt.Sprintf("%d entries", c.Entries)
	if c.Later > 0 {
		what += fmt.Sprintf(", the last %d of them newer than the PCRs below", c.Later)
	}
	if c.Violation > 0 {
		what += fmt.Sprintf(", %d violations", c.Violation)
	}
	if len(c.Templates) > 0 {
		var names []string
		for n, k := range c.Templates {
			names = append(names, fmt.Sprintf("%s %d", n, k))
		}
		sort.Strings(names)
		what += " (" + strings.Join(names, ", ") + ")"
	}
	if c.Error != "" {
		what += "; " + c.Error
	}
	return what
}

func (m *Outcome) writePCRs(out io.Writer) {
	if len(m.PCRs) == 0 {
		return
	}
	fmt.Fprintln(out)
	w := terminal.NewTable(out, 0)
	w.Row("PCR", "entries", "", "replayed")
	for _, p := range m.PCRs {
		row := []terminal.Cell{{Text: strconv.FormatUint(uint64(p.PCR), 10)}, {Text: strconv.Itoa(p.Entries)}, {}, {Text: w.Digest(p.Replayed)}}
		switch {
		case p.Matches == nil:
			w.Cells(row...)
		case *p.Matches:
			row[2] = terminal.Cell{Text: "as the TPM", Colour: terminal.Good}
			w.Cells(row...)
		default:
			row[2] = terminal.Cell{Text: "DIFFERS", Colour: terminal.Bad}
			w.Cells(row...)
			w.Row("", "", "TPM", w.Digest(p.TPM))
		}
	}
	w.Flush()
}

// writeExplained says who extended each PCR, and by what.
func (m *Outcome) writeExplained(out io.Writer) {
	if len(m.Explained) == 0 {
		return
	}
	fmt.Fprintln(out)
	w := terminal.NewTable(out, 0)
	w.Row("PCR", "extended by", "entries", "what")
	for _, e := range m.byPCR() {
		w.Row(register(e), e.By, strconv.Itoa(e.Entries), shorten(e.What, 3))
	}
	w.Flush()
}

// byPCR returns the explanations in the order of the PCRs, NvPCRs last.
func (m *Outcome) byPCR() []evidence.Explanation {
	all := slices.Clone(m.Explained)
	slices.SortStableFunc(all, func(a, b evidence.Explanation) int {
		return cmp.Or(cmp.Compare(a.NvPCR, b.NvPCR), cmp.Compare(a.PCR, b.PCR))
	})
	return all
}

func register(e evidence.Explanation) string {
	if e.NvPCR != "" {
		return "NvPCR " + e.NvPCR
	}
	return fmt.Sprint(e.PCR)
}

// shorten joins the first of some texts, each cut to a width for a terminal.
func shorten(what []string, most int) string {
	var out []string
	for _, s := range what[:min(most, len(what))] {
		if r := []rune(s); len(r) > 40 {
			s = string(r[:39]) + "…"
		}
		out = append(out, s)
	}
	if len(what) > most {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}
