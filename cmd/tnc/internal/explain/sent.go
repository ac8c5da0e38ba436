package explain

import (
	"slices"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// sent adds an attribute to the row of the question that asked for it.
func (x *explainer) sent(imc string, a patnc.Attribute) {
	t := a.Value.Type()
	var to *Row
	if fm, ok := a.Value.(pts.FileMeasurement); ok {
		to = x.files[fm.RequestID]
	} else if t == patnc.TypeError {
		// It answers the oldest question that has no answer.
		for _, r := range x.rows {
			if len(r.answer) > 0 && len(r.Answers) == 0 {
				to = r
				break
			}
		}
	} else {
		// The oldest question without an answer, else the newest one.
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
