package evidence

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tpm/pcr"
)

const (
	maxTemplates = 32  // names that a report counts; more are counted together
	maxName      = 256 // octets of a name that are shown
)

func (i *inspection) ima(ctx context.Context) error {
	i.report.Components = append(i.report.Components, Component{Name: component(nameLinuxIMA, qualifierOS), Log: i.cfg.IMALog})
	c := &i.report.Components[len(i.report.Components)-1]
	f, err := os.Open(i.cfg.IMALog)
	if err != nil {
		c.unopened(err)
		return nil
	}
	defer f.Close()
	defer c.done()
	c.Templates = map[string]int{}
	r := ima.NewReader(f, ima.Config{Hash: ListHash(i.cfg.IMALog)})
	pad, err := i.padding(ctx)
	if err != nil {
		return err
	}
	bank := *i.bank // to the end of the list
	var m [pcr.MaxSize]byte
	var later [pcr.Count]int
	var matched bool
	for {
		if c.Entries%contextStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			c.Code, c.Error = LogMalformed, err.Error()
			break
		}
		i.imaPCRs |= 1 << e.PCR
		if e.Index == 0 {
			i.aggregate(e)
		}
		i.count(c, e)
		bank.Extend(e.PCR, e.AppendMeasurement(m[:0], i.h, pad))
		c.Entries++
		later[e.PCR]++
		if i.tpm != nil && agrees(&bank, i.imaPCRs, i.tpm) {
			matched = true
			*i.bank = bank
			for p, n := range later {
				i.entries[p] += n
			}
			clear(later[:])
			c.Later = -c.Entries
		}
	}
	if matched {
		c.Later += c.Entries // the entries after the last one that the PCRs hold
		return nil
	}
	*i.bank = bank
	for p, n := range later {
		i.entries[p] += n
	}
	return nil
}

// padding finds how the kernel extends the bank.
func (i *inspection) padding(ctx context.Context) (ima.Padding, error) {
	pad := i.cfg.padding()
	if i.h == pcr.SHA1 || i.tpm == nil {
		return pad, nil
	}
	found, ok, err := findPadding(ctx, i.cfg, *i.bank, i.tpm)
	if err != nil || !ok || found == pad {
		return pad, err
	}
	i.note("the list leads to the TPM's PCRs with %v: that is reported; strongSwan's verifiers want a bank that the kernel measures itself, see imc-attestation.hash_algorithm", found)
	return found, nil
}

// count looks at what an entry says of itself.
func (i *inspection) count(c *Component, e *ima.Entry) {
	name := text.Escape(e.Template, maxName)
	if len(c.Templates) >= maxTemplates && c.Templates[name] == 0 {
		name = "other"
	}
	c.Templates[name]++
	if e.Violation() {
		c.Violation++
		return
	}
	if i.imaBroken == nil && !e.Intact() {
		i.imaBroken = &Difference{PCR: e.PCR, Log: i.cfg.IMALog, Entry: e.Index + 1, Name: e.Fields().Name,
			Reason: "the entry does not have the template digest that it was recorded with: it was altered"}
	}
}

func (i *inspection) aggregate(e *ima.Entry) {
	f := e.Fields()
	h, known := aggregateHash(f.Algorithm)
	b := i.banks[h]
	switch {
	case f.Name != bootAggregate:
		i.report.BootAggregate = fmt.Sprintf("missing: the first entry is %q", f.Name)
	case !known || b == nil:
		i.report.BootAggregate = "cannot be checked: no BIOS events with " + text.Escape(f.Algorithm, maxName) + " digests"
	default:
		if last, ok := matchAggregate(b, f.FileDigest); ok {
			i.report.BootAggregate = fmt.Sprintf("correct over PCR0..PCR%d", last)
		} else {
			i.report.BootAggregate = "incorrect: the BIOS events do not lead to it"
		}
	}
}
