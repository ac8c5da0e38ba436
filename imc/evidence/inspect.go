package evidence

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/imc/evidence/bios"
	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Report is what a verifier would be told, and whether the TPM bears it out.
// Its JSON names are an interface for scripts.
type Report struct {
	Bank          string      `json:"bank"` // measurement algorithm: "HASH_SHA2_256"
	Locality      uint8       `json:"startup_locality"`
	Components    []Component `json:"components"`
	BootAggregate string      `json:"boot_aggregate,omitempty"`
	PCRs          []PCRRow    `json:"pcrs"`
	Matches       *bool       `json:"matches"` // nil: there was no TPM to compare with
	Difference    *Difference `json:"first_difference,omitempty"`
	Notes         []string    `json:"notes,omitempty"`
}

// Component is one functional component and its evidence.
type Component struct {
	Name      string         `json:"name"`
	Log       string         `json:"log,omitempty"`
	Entries   int            `json:"entries"`
	Later     int            `json:"later_entries,omitempty"` // that came after the PCRs were read
	Templates map[string]int `json:"templates,omitempty"`
	Violation int            `json:"violations,omitempty"`
	Error     string         `json:"error,omitempty"`
}

// PCRRow is one PCR that the evidence extends.
type PCRRow struct {
	PCR      uint32 `json:"pcr"`
	Entries  int    `json:"entries"`
	Replayed string `json:"replayed"`
	TPM      string `json:"tpm,omitempty"`
	Matches  *bool  `json:"matches"`
}

// Difference is the first place where a log and the TPM, or an entry and its
// own digest, do not agree.
type Difference struct {
	PCR    uint32 `json:"pcr"`
	Log    string `json:"log"`
	Entry  int    `json:"entry,omitempty"` // counted from 1; 0: it cannot be told which
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`
}

// String is a sentence for people.
func (d *Difference) String() string {
	if d.Entry == 0 {
		return fmt.Sprintf("PCR %d, %s: %s", d.PCR, d.Log, d.Reason)
	}
	return fmt.Sprintf("PCR %d, entry %d of %s, %q: %s", d.PCR, d.Entry, d.Log, d.Name, d.Reason)
}

// inspection is the state of one Inspect.
type inspection struct {
	cfg     Config
	h       crypto.Hash
	tpm     pcr.Values // nil: no TPM
	report  *Report
	bank    *pcr.Bank
	banks   map[crypto.Hash]*pcr.Bank
	entries [pcr.Count]int

	suspect   [pcr.Count]*Difference // first event that contradicts itself
	imaPCRs   pcr.Selection
	imaBroken *Difference
}

// Inspect replays the logs and compares them with the PCRs of the TPM, which
// tpm holds for that bank; nil where there is none. The PCRs were read before:
// the list of measurements may have grown since. Logs that are missing or broken
// are told in the report.
func Inspect(ctx context.Context, cfg Config, alg pts.HashAlgorithms, tpm pcr.Values) (*Report, error) {
	c := New(cfg)
	i := &inspection{cfg: c.cfg, h: alg.Bank().Crypto(), tpm: tpm, report: &Report{Bank: alg.String()}, banks: map[crypto.Hash]*pcr.Bank{}}
	i.bank = pcr.NewBank(i.h)
	if i.bank.Size() == 0 {
		return nil, fmt.Errorf("no measurement algorithm %v", alg)
	}
	if l, ok := c.Locality(ctx, alg, tpm[0]); ok {
		i.report.Locality = l
	}
	i.bank.SetLocality(i.report.Locality)
	if err := i.bios(ctx); err != nil {
		return nil, err
	}
	if err := i.ima(ctx); err != nil {
		return nil, err
	}
	i.trustedBoot()
	i.table()
	return i.report, nil
}

// component names one of ITA-HSR's.
func component(name uint32, qualifier uint8) string {
	return pts.ComponentName{Vendor: patnc.VendorITA, Qualifier: qualifier, Name: name}.String()
}

// noLog is what is told of a log that is not there, which is no failure.
const noLog = "the kernel offers no such log"

// Unread says which component is there and could not be reported; nil: none.
func (r *Report) Unread() error {
	for _, c := range r.Components {
		if c.Error != "" && c.Error != noLog {
			return fmt.Errorf("%s: %s", c.Name, c.Error)
		}
	}
	return nil
}

// told makes a missing log's error short.
func told(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return noLog
	}
	if errors.Is(err, fs.ErrPermission) {
		return "no permission: run as root"
	}
	return err.Error()
}

func (i *inspection) bios(ctx context.Context) error {
	i.report.Components = append(i.report.Components, Component{Name: component(nameLinuxIMA, qualifierTrusted), Log: i.cfg.BIOSLog})
	c := &i.report.Components[len(i.report.Components)-1]
	f, in, err := openBIOS(i.cfg.BIOSLog)
	if err != nil {
		c.Error = told(err)
		return nil
	}
	defer f.Close()
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
			c.Error = err.Error()
			break
		}
		if !e.Extends() {
			continue
		}
		for _, d := range e.Digests {
			h := d.Algorithm.Hash()
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
		h := d.Algorithm.Hash()
		if !pcr.Supported(h) {
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

func (i *inspection) note(format string, v ...any) {
	const most = 16
	if len(i.report.Notes) < most {
		i.report.Notes = append(i.report.Notes, fmt.Sprintf(format, v...))
	}
}

// visible is text of a log as it is, or quoted where it could control a terminal.
func visible(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// maxTemplates bounds the names that a report counts; more are counted together.
const maxTemplates = 32

func (i *inspection) ima(ctx context.Context) error {
	i.report.Components = append(i.report.Components, Component{Name: component(nameLinuxIMA, qualifierOS), Log: i.cfg.IMALog})
	c := &i.report.Components[len(i.report.Components)-1]
	f, err := os.Open(i.cfg.IMALog)
	if err != nil {
		c.Error = told(err)
		return nil
	}
	defer f.Close()
	c.Templates = map[string]int{}
	r := ima.NewReader(f, ima.Options{Hash: ListHash(i.cfg.IMALog)})
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
			c.Error = err.Error()
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
		c.Later += c.Entries // what stands behind the entry that the PCRs know
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
	if i.h == crypto.SHA1 || i.tpm == nil {
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
	name := visible(e.Template)
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
		i.report.BootAggregate = "cannot be checked: no BIOS events with " + visible(f.Algorithm) + " digests"
	default:
		if last, ok := matchAggregate(b, f.FileDigest); ok {
			i.report.BootAggregate = fmt.Sprintf("correct over PCR0..PCR%d", last)
		} else {
			i.report.BootAggregate = "incorrect: the BIOS events do not lead to it"
		}
	}
}

func (i *inspection) trustedBoot() {
	c := New(i.cfg)
	c.bank, c.alg = pcr.NewBank(crypto.SHA1), pts.SHA1
	t := Component{Name: component(nameTrustedBoot, qualifierTrusted)}
	if i.cfg.TrustedBoot == [2]TrustedBoot{} {
		return // not in use
	}
	if err := c.collectTrustedBoot(pts.ComponentName{}); err != nil {
		t.Error = err.Error()
	} else {
		t.Entries = 2
	}
	i.report.Components = append(i.report.Components, t)
}

// table compares the PCRs and finds the first difference.
func (i *inspection) table() {
	all := true
	var first *PCRRow
	for _, p := range i.bank.Touched().PCRs() {
		value := i.bank.Value(uint32(p))
		row := PCRRow{PCR: uint32(p), Entries: i.entries[p], Replayed: hex.EncodeToString(value)}
		if i.tpm != nil {
			ok := bytes.Equal(value, i.tpm[p])
			row.TPM, row.Matches = hex.EncodeToString(i.tpm[p]), &ok
			all = all && ok
		}
		i.report.PCRs = append(i.report.PCRs, row)
		if row.Matches != nil && !*row.Matches && first == nil {
			first = &i.report.PCRs[len(i.report.PCRs)-1]
		}
	}
	switch {
	case first != nil && i.suspect[first.PCR] != nil:
		i.report.Difference = i.suspect[first.PCR]
	case first != nil && !i.imaPCRs.Has(int(first.PCR)):
		i.report.Difference = &Difference{PCR: first.PCR, Log: i.cfg.BIOSLog,
			Reason: "the events do not lead to the TPM's value: one is missing, was added or was altered"}
	case i.imaBroken != nil:
		i.report.Difference = i.imaBroken
	case first != nil:
		i.report.Difference = &Difference{PCR: first.PCR, Log: i.cfg.IMALog,
			Reason: "every entry is right in itself, but they do not lead to the TPM's value: one is missing, was added, or was forged as a whole"}
	}
	if i.tpm != nil {
		ok := all && i.report.Difference == nil
		i.report.Matches = &ok
	}
}
