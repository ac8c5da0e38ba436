package evidence

import (
	"slices"

	"github.com/gotnc/gotnc/imc/evidence/systemd"
	"github.com/gotnc/gotnc/internal/base/text"
)

// Limits of what a report explains.
const (
	maxExplanations = 128
	maxWhat         = 48 // texts of one explanation
)

// Explanation says who extended a PCR, and by what.
type Explanation struct {
	PCR     uint32   `json:"pcr"`
	NvPCR   string   `json:"nv_pcr,omitempty"` // an NvPCR of systemd in place of the PCR
	By      string   `json:"by"`               // "firmware", "shim", "GRUB", "systemd-boot", "systemd-stub", "systemd", "IMA" …
	Entries int      `json:"entries"`
	What    []string `json:"what,omitempty"` // the first that differ, made harmless
}

// explain counts an entry of a PCR.
func (i *inspection) explain(p uint32, by, what string) {
	i.explained(Explanation{PCR: p, By: by}, what)
}

func (i *inspection) explainNV(r *systemd.Record) {
	i.explained(Explanation{NvPCR: text.Escape(r.NvPCR, maxName), By: "systemd"}, systemdText(r))
}

func (i *inspection) explained(x Explanation, what string) {
	all := &i.report.Explained
	n := slices.IndexFunc(*all, func(y Explanation) bool { return y.PCR == x.PCR && y.NvPCR == x.NvPCR && y.By == x.By })
	if n < 0 {
		if len(*all) >= maxExplanations {
			return
		}
		n = len(*all)
		*all = append(*all, x)
	}
	e := &(*all)[n]
	e.Entries++
	if len(e.What) >= maxWhat {
		return
	}
	if what = text.Escape(what, maxName); what != "" && !slices.Contains(e.What, what) {
		e.What = append(e.What, what)
	}
}
