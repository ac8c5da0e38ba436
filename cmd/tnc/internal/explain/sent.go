package explain

import (
	"slices"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// sent puts an attribute beside what asked for it.
func (x *explainer) sent(imc string, a patnc.Attribute) {
	t := a.Value.Type()
	var to *Row
	if fm, ok := a.Value.(pts.FileMeasurement); ok {
		to = x.files[fm.RequestID]
	} else if t == patnc.TypeError {
		// It answers what stands open.
		for _, r := range x.rows {
			if len(r.answer) > 0 && len(r.Answers) == 0 {
				to = r
				break
			}
		}
	} else {
		// The oldest that is open; where none is, more of the newest.
		for _, r := range x.rows {
			if !slices.Contains(r.answer, t) {
				continue
			}
			to = r
			if len(r.Answers) == 0 {
				break
			}
		}
	}
	if to == nil {
		to = &Row{Asked: meaning(t)}
		x.add(to)
	}
	to.IMC = imc
	to.Answers = append(to.Answers, answerText(a.Value))
}

func typeOf(v patnc.Value) patnc.Type { return v.Type() }
