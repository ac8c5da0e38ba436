package demo

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/text"
)

// writeAssessment prints what the verifier asked and what it was answered.
func (d *demo) writeAssessment(r imv.Report) {
	t := tabwriter.NewWriter(d.Stdout, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = text.Printable(c)
		}
		fmt.Fprintf(t, "  %s\n", strings.Join(cells, "\t"))
	}
	row("asked", "of", "answer", "result")
	row("product", "-", r.Product, "-")
	row("version", "-", r.Version, "-")
	row("device ID", "-", r.DeviceID, "-")
	row("PTS algorithm", "-", r.Hash, "-")
	for _, f := range r.Files {
		row("measurement", d.short(f.Path), fmt.Sprintf("%x", f.Digest), f.Result.String())
	}
	for _, m := range r.Metadata {
		row("metadata", d.short(m.Path), fmt.Sprintf("%d octets, owner %d, group %d, modified %s",
			m.Size, m.Owner, m.Group, m.Modified.UTC().Format(time.RFC3339)), "-")
	}
	for _, e := range r.Errors {
		row("error", "-", e, "-")
	}
	_ = t.Flush()
	for _, f := range r.Findings {
		fmt.Fprintf(d.Stdout, "  finding: %s\n", text.Printable(d.short(f)))
	}
}

// short leaves the demo's own directory out of a path.
func (d *demo) short(path string) string { return strings.ReplaceAll(path, d.dir+"/", "") }
