package measure

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/evidence/bios"
	"github.com/gotnc/gotnc/internal/base/text"
)

//go:embed page.html
var pageText string

// page is the template of the page; html/template escapes every value, and clean makes
// harmless what stands in logs.
var page = template.Must(template.New("page").Funcs(template.FuncMap{"clean": text.Printable, "count": count}).Parse(pageText))

// meanings of the PCRs of a PC (TCG PC Client Platform Firmware Profile section 3.3.4,
// UAPI.7 Linux TPM PCR Registry).
var meanings = map[uint32]string{
	0: "firmware", 1: "firmware's configuration", 2: "option ROMs", 3: "their configuration", 4: "boot loader",
	5: "its configuration, partitions", 6: "manufacturer", 7: "Secure Boot", 8: "GRUB's commands", 9: "files that GRUB and the stub read",
	10: "IMA", 11: "unified kernel image", 12: "kernel's command line", 13: "system extensions", 14: "shim's keys",
	15: "system's identity", 16: "debug", 17: "DRTM", 18: "DRTM", 23: "applications",
}

// count writes a number with its noun, "1 entry" or "2 entries".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if s, ok := strings.CutSuffix(noun, "y"); ok {
		noun = s + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type pageData struct {
	*Outcome
	Class, Title, When string
	Quote, QuoteClass  string
	Chain              []link
	Rows               []pageRow
}

// link is a part of the chain of a boot.
type link struct {
	Name    string
	Entries int
	PCRs    string
	By      []string
}

type pageRow struct {
	Name, Meaning, State, Class string
	Replayed, TPM               string
	Explained                   []pageExplanation
}

type pageExplanation struct {
	evidence.Explanation
	More bool
}

// WriteHTML writes the outcome as a page of one file, which loads nothing and runs
// nothing.
func (m *Outcome) WriteHTML(out io.Writer, now time.Time) error {
	d := pageData{Outcome: m, When: now.Format("2006-01-02 15:04 MST"), Chain: m.chain(), Rows: m.rows()}
	switch m.Result {
	case Matches:
		d.Class, d.Title = "good", "The logs lead to the TPM's PCRs"
	case Differs, BankUnused, TPMFails:
		d.Class, d.Title = "bad", "A verifier would refuse this machine"
	default:
		d.Title = "Nothing was compared"
	}
	d.Quote, d.QuoteClass = m.quote()
	return page.Execute(out, d)
}

// SaveHTML writes the page to a file, which only its owner can read.
func (m *Outcome) SaveHTML(file string, now time.Time) error {
	var b bytes.Buffer
	if err := m.WriteHTML(&b, now); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return usage.FileError(file, "--html", err)
	}
	return nil
}

// quote says whether the TPM could sign the PCRs.
func (m *Outcome) quote() (says, class string) {
	switch {
	case m.TPM == nil:
		return "not signed: there is no TPM", "warn"
	case m.AIKError != "":
		return "not signed: no attestation key: " + text.Printable(m.AIKError), "warn"
	case m.unsigned != nil:
		return "not signed: " + text.Printable(m.unsigned.Error()), "bad"
	case m.quoted == "":
		return "not signed: the PCRs were not read", "warn"
	case m.AIK == "public key":
		return "PCR " + m.quoted + " signed by an attestation key without certificate, which verifiers have to know", "warn"
	}
	return "PCR " + m.quoted + " signed by an attestation key with certificate", "good"
}

// chain sums the explanations up: firmware, boot loader, kernel, IMA.
func (m *Outcome) chain() []link {
	parts := []struct {
		name string
		by   []string
	}{
		{"Firmware", []string{bios.ByFirmware}},
		{"Boot loader", []string{bios.ByShim, bios.ByGRUB, bios.BySystemdBoot, bios.ByLoader, bios.ByWindows}},
		{"Kernel", []string{bios.BySystemdStub, bios.ByKernel}},
		{"System", []string{"systemd"}},
		{"IMA", []string{"IMA"}},
	}
	var out []link
	for _, p := range parts {
		l := link{Name: p.name}
		var pcrs []string
		for _, e := range m.byPCR() {
			if !slices.Contains(p.by, e.By) {
				continue
			}
			l.Entries += e.Entries
			if name := register(e); !slices.Contains(pcrs, name) {
				pcrs = append(pcrs, name)
			}
			if len(p.by) > 1 && !slices.Contains(l.By, e.By) {
				l.By = append(l.By, e.By)
			}
		}
		l.PCRs = strings.Join(pcrs, ", ")
		out = append(out, l)
	}
	return out
}

func (m *Outcome) rows() (out []pageRow) {
	explained := func(nv string, p uint32) (out []pageExplanation) {
		for _, e := range m.Explained {
			if e.NvPCR == nv && (nv != "" || e.PCR == p) {
				out = append(out, pageExplanation{e, e.Entries > len(e.What)})
			}
		}
		return out
	}
	for _, p := range m.PCRs {
		r := pageRow{Name: "PCR " + strconv.Itoa(int(p.PCR)), Meaning: meanings[p.PCR], Replayed: p.Replayed, Explained: explained("", p.PCR)}
		switch {
		case p.Matches == nil:
			r.State, r.Class = "not compared", "dim"
		case *p.Matches:
			r.State, r.Class = "as the TPM", "good"
		default:
			r.State, r.Class, r.TPM = "differs", "bad", p.TPM
		}
		out = append(out, r)
	}
	var seen []string
	for _, e := range m.Explained {
		if e.NvPCR != "" && !slices.Contains(seen, e.NvPCR) {
			seen = append(seen, e.NvPCR)
			out = append(out, pageRow{Name: fmt.Sprint("NvPCR ", text.Printable(e.NvPCR)), State: "not compared", Class: "dim", Explained: explained(e.NvPCR, 0)})
		}
	}
	return out
}
