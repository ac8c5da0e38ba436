package evidence

import (
	"bytes"
	"context"
	"io"

	"github.com/gotnc/gotnc/imc/evidence/bios"
	"github.com/gotnc/gotnc/tpm/pcr"
)

func (i *inspection) bios(ctx context.Context) error {
	i.report.Components = append(i.report.Components, Component{Name: component(nameLinuxIMA, qualifierTrusted), Log: i.cfg.BIOSLog})
	c := &i.report.Components[len(i.report.Components)-1]
	f, in, err := openBIOS(i.cfg.BIOSLog)
	if err != nil {
		c.unopened(err)
		return nil
	}
	defer f.Close()
	defer c.done()
	r := bios.NewReader(in)
	without := 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			c.Code, c.Error = LogMalformed, err.Error()
			break
		}
		if !e.Extends() {
			continue
		}
		for _, d := range e.Digests {
			h := d.Algorithm
			if i.banks[h] == nil {
				i.banks[h] = pcr.NewBank(h)
				i.banks[h].SetLocality(i.report.Locality)
			}
			i.banks[h].Extend(e.PCR, d.Sum)
		}
		sum := e.Digest(i.h)
		if sum == nil {
			without++
			continue
		}
		if !i.bank.Extend(e.PCR, sum) {
			i.note("event %d extends PCR %d, which the TPM does not have", e.Index, e.PCR)
			continue
		}
		c.Entries++
		i.entries[e.PCR]++
		by, what := e.Describe()
		if what == "" {
			what = e.Type.String()
		}
		i.explain(e.PCR, by, what)
		if i.suspect[e.PCR] == nil && contradicts(e) {
			i.suspect[e.PCR] = &Difference{PCR: e.PCR, Log: i.cfg.BIOSLog, Entry: e.Index + 1, Name: e.Type.String(),
				Reason: "the digests are not all of the same event"}
		}
	}
	if without > 0 {
		i.note("%d BIOS events have no %v digest and are not reported", without, i.report.Bank)
	}
	return nil
}

// contradicts reports whether one bank's digest is that of the event's data and
// another's is not. Many events measure other things than their data: then none
// is, which says nothing.
func contradicts(e *bios.Event) bool {
	is, isNot := false, false
	for _, d := range e.Digests {
		h := d.Algorithm
		if h.Size() == 0 {
			continue
		}
		if bytes.Equal(pcr.AppendSum(nil, h, e.Data), d.Sum) {
			is = true
		} else {
			isNot = true
		}
	}
	return is && isNot
}
