package evidence

import (
	"bytes"
	"context"
	"fmt"
	"io"

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
	f, err := openIMA(i.cfg, 0)
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
		i.boot(e)
		i.count(c, e)
		bank.Extend(e.PCR, e.AppendMeasurement(m[:0], i.h, pad))
		c.Entries++
		later[e.PCR]++
		what := ""
		if e.Index < maxWhat {
			what = e.Fields().PolicyURI(e.Template)
		}
		i.explain(e.PCR, "IMA", what)
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
	i.missing()
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

// boot looks at the first entry and at those of later kernels: each kernel that kexec
// starts begins its part of the list, which the one before may have handed over.
func (i *inspection) boot(e *ima.Entry) {
	if e.Index > 0 && !bytes.Contains(e.Data, []byte(bootAggregate)) {
		return
	}
	f := e.Fields()
	if e.Index == 0 {
		i.aggregate(f)
		if f.Name != bootAggregate {
			i.imaStart = fmt.Sprintf("the list begins with %s, not with boot_aggregate: what came before was exported and deleted by the kernel, or was measured before kexec", text.Quote(f.Name, maxName))
		}
	} else if f.Name == bootAggregate {
		i.note("entry %d is a boot_aggregate: kexec started another kernel", e.Index+1)
	}
}

// missing says what a list lacks that does not lead to the TPM's PCR.
func (i *inspection) missing() {
	switch saved := i.cfg.IMASaved; {
	case i.tpm == nil:
	case i.imaStart != "" && len(saved) > 0:
		i.imaStart += "; the part before " + saved[0] + " is missing"
	case i.imaStart != "":
		i.imaStart += "; the saved parts were not given"
	case len(saved) > 0:
		i.imaStart = fmt.Sprintf("a part between %s and %s is missing, or an entry was added or forged", saved[0], i.cfg.IMALog)
	}
	if i.imaStart != "" && i.tpm != nil {
		i.note("%s", i.imaStart)
	}
}

func (i *inspection) aggregate(f ima.Fields) {
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
