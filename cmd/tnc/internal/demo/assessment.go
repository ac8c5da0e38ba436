package demo

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
	"github.com/gotnc/gotnc/imc/imv"
)

// writeAssessment prints what the verifier asked and what it was answered.
func (d *demo) writeAssessment(r imv.Report) {
	t := terminal.NewTable(d.Stdout, 2)
	row := t.Row
	row("asked", "of", "answer", "result")
	row("product", "-", r.Product, "-")
	row("version", "-", r.Version, "-")
	row("device ID", "-", r.DeviceID, "-")
	row("PTS algorithm", "-", r.Hash, "-")
	for _, f := range r.Files {
		result := terminal.Cell{Text: f.Result.String(), Colour: terminal.Good}
		if f.Result != imv.Match {
			result.Colour = terminal.Bad
		}
		t.Cells(terminal.Cell{Text: "measurement"}, terminal.Cell{Text: d.short(f.Path)},
			terminal.Cell{Text: t.Digest(hex.EncodeToString(f.Digest))}, result)
	}
	for _, m := range r.Metadata {
		row("metadata", d.short(m.Path), fmt.Sprintf("%d octets, owner %d, group %d, modified %s",
			m.Size, m.Owner, m.Group, m.Modified.UTC().Format(time.RFC3339)), "-")
	}
	for _, e := range r.Errors {
		row("error", "-", e, "-")
	}
	t.Flush()
	for _, f := range r.Findings {
		terminal.Line(d.Stdout, 4, "  finding: %s", d.short(f))
	}
}

// measurement is a file that was measured, as --json prints it.
type measurement struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
	Result string `json:"result"` // match, mismatch
}

// Outcome is what the demo came to, as --json prints it; its field names are an
// interface for scripts.
type Outcome struct {
	*report.Outcome
	Measurements []measurement `json:"measurements,omitempty"`
}

// outcome adds what the verifier measured.
func (d *demo) outcome(o *report.Outcome, r imv.Report) Outcome {
	out := Outcome{Outcome: o}
	for _, f := range r.Files {
		out.Measurements = append(out.Measurements, measurement{d.short(f.Path), hex.EncodeToString(f.Digest), f.Result.String()})
	}
	return out
}

// short leaves the demo's own directory out of a path.
func (d *demo) short(path string) string { return strings.ReplaceAll(path, d.dir+"/", "") }
