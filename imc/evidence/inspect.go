package evidence

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// inspection is the state of one Inspect.
type inspection struct {
	cfg     Config
	h       pcr.Hash
	tpm     pcr.Values // nil: no TPM
	report  *Report
	bank    *pcr.Bank
	banks   map[pcr.Hash]*pcr.Bank
	entries [pcr.Count]int

	suspect   [pcr.Count]*Difference // first event that contradicts itself
	imaPCRs   pcr.Selection
	imaBroken *Difference
	imaStart  string // what is missing where the list does not lead to the TPM's PCR

	systemdPCRs pcr.Selection
}

// Inspect replays the logs and compares them with the PCRs of the TPM, which
// tpm holds for that bank; nil where there is none. The PCRs were read before:
// the list of measurements may have grown since. Logs that are missing or broken
// are told in the report.
func Inspect(ctx context.Context, cfg Config, alg pts.HashAlgorithms, tpm pcr.Values) (*Report, error) {
	c := New(cfg)
	i := &inspection{cfg: c.cfg, h: alg.Bank(), tpm: tpm, report: &Report{Bank: alg.String()}, banks: map[pcr.Hash]*pcr.Bank{}}
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
	if err := i.systemd(ctx); err != nil {
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

func (i *inspection) note(format string, v ...any) {
	const most = 16
	if len(i.report.Notes) < most {
		i.report.Notes = append(i.report.Notes, fmt.Sprintf(format, v...))
	}
}

func (i *inspection) trustedBoot() {
	c := New(i.cfg)
	c.bank, c.alg = pcr.NewBank(pcr.SHA1), pts.SHA1
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
	case first != nil && i.systemdPCRs.Has(int(first.PCR)):
		i.report.Difference = &Difference{PCR: first.PCR, Log: i.cfg.SystemdLog,
			Reason: "the events of the firmware and systemd's records do not lead to the TPM's value: one is missing, was added or was altered"}
	case first != nil && !i.imaPCRs.Has(int(first.PCR)):
		i.report.Difference = &Difference{PCR: first.PCR, Log: i.cfg.BIOSLog,
			Reason: "the events do not lead to the TPM's value: one is missing, was added or was altered"}
	case i.imaBroken != nil:
		i.report.Difference = i.imaBroken
	case first != nil:
		i.report.Difference = &Difference{PCR: first.PCR, Log: i.cfg.IMALog,
			Reason: "every entry is right in itself, but they do not lead to the TPM's value: " + cmp.Or(i.imaStart, "one is missing, was added, or was forged as a whole")}
	}
	if i.tpm != nil && (len(i.report.PCRs) > 0 || i.report.Difference != nil) {
		ok := all && i.report.Difference == nil
		i.report.Matches = &ok
	}
}
