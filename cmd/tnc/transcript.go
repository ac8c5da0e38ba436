package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// Caps of a transcript.
const (
	maxExchanges  = 1 << 16
	maxTranscript = 256 << 20 // octets of messages
	maxNames      = 4         // file names shown of a list
)

// transcript collects the PA-TNC messages of a connection for --explain.
type transcript struct {
	mu        sync.Mutex
	exchanges []tnccs.Exchange
	octets    int
	missed    int
}

func (t *transcript) add(e tnccs.Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.exchanges) >= maxExchanges || t.octets+len(e.Body) > maxTranscript {
		t.missed++
		return
	}
	t.exchanges = append(t.exchanges, e)
	t.octets += len(e.Body)
}

// answerRow is one attribute that a verifier asked for, or that was sent
// unasked. `--json --explain` prints it.
type answerRow struct {
	Verifier string   `json:"verifier,omitempty"` // empty: nobody asked
	Asked    string   `json:"asked"`
	IMC      string   `json:"imc,omitempty"` // who answered
	Answers  []string `json:"answers,omitempty"`

	answer []patnc.Type // kinds of attributes that answer it
	id     uint16       // request ID of a file measurement
	hasID  bool
}

// rows makes the table: in the order of what happened, each answer beside what
// asked for it.
func (t *transcript) rows() []answerRow {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := &explainer{segments: map[string][]byte{}}
	for _, e := range t.exchanges {
		x.exchange(e)
	}
	if t.missed > 0 {
		x.rows = append(x.rows, &answerRow{Asked: fmt.Sprintf("%d more messages, too many to be kept", t.missed)})
	}
	out := make([]answerRow, len(x.rows))
	for i, r := range x.rows {
		out[i] = *r
	}
	return out
}

type explainer struct {
	rows     []*answerRow
	segments map[string][]byte
}

func (x *explainer) exchange(e tnccs.Exchange) {
	who := "the verifier"
	if e.IMV != tnccs.IMVAny && e.IMV != 0 {
		who = fmt.Sprintf("IMV %d", e.IMV)
	}
	subtype := pb.PAName(e.Vendor, e.Subtype)
	if name, _, ok := strings.Cut(strings.TrimPrefix(subtype, "'"), "'"); ok {
		subtype = name
	}
	m, err := patnc.Parse(e.Body, pts.Attributes)
	if err != nil {
		row := &answerRow{Asked: fmt.Sprintf("%d octets about %s that are no PA-TNC message", len(e.Body), subtype)}
		if e.Sent {
			row.IMC = strings.Join(e.IMCs, ", ")
		} else {
			row.Verifier = who
		}
		x.rows = append(x.rows, row)
		return
	}
	for _, a := range m.Attributes {
		x.attribute(e, who, subtype, a, 0)
	}
}

// attribute takes one attribute, after it has been put together from segments.
func (x *explainer) attribute(e tnccs.Exchange, who, subtype string, a patnc.Attribute, depth int) {
	if s, ok := a.Value.(patnc.SegmentEnvelope); ok && depth == 0 {
		key := fmt.Sprint(e.Sent, e.IMC, e.IMV, e.Vendor, e.Subtype, s.BaseMessageID)
		if s.Start {
			x.segments[key] = nil
		}
		x.segments[key] = append(x.segments[key], s.Data...)
		if s.More {
			return
		}
		whole := append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, x.segments[key]...)
		delete(x.segments, key)
		if m, err := patnc.Parse(whole, pts.Attributes); err == nil {
			for _, a := range m.Attributes {
				x.attribute(e, who, subtype, a, depth+1)
			}
		}
		return
	}
	if e.Sent {
		x.sent(strings.Join(e.IMCs, ", "), a)
	} else {
		x.asked(who, e, a)
	}
}

// asked adds the rows for an attribute of a verifier.
func (x *explainer) asked(who string, e tnccs.Exchange, a patnc.Attribute) {
	row := func(asked string, answer ...patnc.Type) *answerRow {
		r := &answerRow{Verifier: who, Asked: asked, answer: answer}
		if len(e.IMCs) == 0 {
			r.Answers = []string{"nothing: no IMC is there for it"}
			r.answer = nil
		}
		x.rows = append(x.rows, r)
		return r
	}
	switch v := a.Value.(type) {
	case patnc.AttributeRequest:
		for _, t := range v.Types {
			row(meaning(t), t)
		}
	case pts.RequestFileMeasurement:
		what := "the digest of "
		if v.Directory {
			what = "the digests of all files in "
		}
		r := row(what+v.Path, typeOf(pts.FileMeasurement{}))
		r.id, r.hasID = v.RequestID, true
	case pts.RequestFileMetadata:
		what := "type, size, owner and times of "
		if v.Directory {
			what += "all files in "
		}
		row(what+v.Path, typeOf(pts.UnixFileMetadata{}))
	case pts.RequestProtocolCapabilities:
		row("what this machine's measuring can do", typeOf(pts.ProtocolCapabilities{}))
	case pts.MeasurementAlgorithm:
		row("which digest algorithm to measure with", typeOf(pts.MeasurementAlgorithmSelection{}))
	case pts.GetTPMVersionInformation:
		row("version and maker of the TPM", typeOf(pts.TPMVersionInformation{}))
	case pts.GetAIK:
		row("certificate or key that the TPM signs with", typeOf(pts.AIK{}))
	case pts.RequestFunctionalComponentEvidence:
		row(fmt.Sprintf("what was started on this machine: measurements of %s", count(len(v.Components), "component")))
	case pts.GenerateAttestationEvidence:
		row("the evidence, signed by the TPM", typeOf(pts.SimpleComponentEvidence{}), typeOf(pts.SimpleEvidenceFinal{}))
	case patnc.GetSettings:
		row("settings of this machine: "+list(v.Names), patnc.TypeITASettings)
	case patnc.GetSymlinks:
		row("symbolic links in "+v.Directory, patnc.TypeITASymlinks)
	case patnc.ContractRequest:
		row("how large messages may be", patnc.TypeSegmentationContractResponse)
	case patnc.NextSegment:
		// The rest of an answer that is in the table already.
	case patnc.Error:
		row("(reports) " + v.String())
	default:
		t := a.Value.Type()
		switch {
		case t == patnc.TypeAssessmentResult:
			row(fmt.Sprintf("(tells) its result: %s", text1(a.Value)))
		case t == patnc.TypeRemediation:
			row("(tells) how to put things right")
		case t == patnc.Type{Vendor: patnc.VendorIETF, Type: 13}:
			row("the software installed on this machine",
				patnc.Type{Type: 14}, patnc.Type{Type: 15}, patnc.Type{Type: 16}, patnc.Type{Type: 17})
		case t == patnc.Type{Vendor: patnc.VendorTCG, Type: 0x11}:
			row("the software installed on this machine",
				patnc.Type{Vendor: patnc.VendorTCG, Type: 0x12}, patnc.Type{Vendor: patnc.VendorTCG, Type: 0x14})
		case t == patnc.Type{Vendor: patnc.VendorTCG, Type: 0x03000000}:
			row("to agree on a nonce for the evidence", patnc.Type{Vendor: patnc.VendorTCG, Type: 0x04000000})
		case t == patnc.Type{Vendor: patnc.VendorTCG, Type: 0x05000000}:
			row("(tells) its half of the nonce")
		default:
			row(named(t), t)
		}
	}
}

// sent puts an attribute beside what asked for it.
func (x *explainer) sent(imc string, a patnc.Attribute) {
	t := a.Value.Type()
	var to *answerRow
	if fm, ok := a.Value.(pts.FileMeasurement); ok {
		for _, r := range x.rows {
			if r.hasID && r.id == fm.RequestID {
				to = r
			}
		}
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
		to = &answerRow{Asked: meaning(t)}
		x.rows = append(x.rows, to)
	}
	to.IMC = imc
	to.Answers = append(to.Answers, answerText(a.Value))
}

func typeOf(v patnc.Value) patnc.Type { return v.Type() }

// meanings says in plain words what an attribute tells.
var meanings = map[patnc.Type]string{
	patnc.TypeProductInformation:     "name and maker of the operating system",
	patnc.TypeNumericVersion:         "version of the operating system, in numbers",
	patnc.TypeStringVersion:          "version of the operating system",
	patnc.TypeOperationalStatus:      "whether the system works, and since when",
	patnc.TypePortFilter:             "which network ports are open or blocked",
	patnc.TypeInstalledPackages:      "names and versions of the installed packages",
	patnc.TypeForwardingEnabled:      "whether the machine forwards IP packets",
	patnc.TypeFactoryDefaultPassword: "whether a factory's default password is set",
	patnc.TypeITADeviceID:            "the ID of this device",
	patnc.TypeITACommand:             "the text of a test",
	patnc.TypeITADummy:               "meaningless octets, for a test",
	patnc.TypeITASettings:            "settings of this machine",
	patnc.TypeITAStartAngel:          "that a list of parts begins",
	patnc.TypeITAStopAngel:           "that a list of parts ends",
	patnc.TypeError:                  "an error",

	patnc.TypeSegmentationContractRequest: "how large messages may be",
}

func meaning(t patnc.Type) string {
	if m, ok := meanings[t]; ok {
		return m
	}
	return named(t)
}

func named(t patnc.Type) string {
	if n := t.Name(); n != "" {
		_, n, _ = strings.Cut(n, "/")
		return n
	}
	return fmt.Sprintf("attribute 0x%06x/0x%08x", t.Vendor, t.Type)
}

// answerText says in one line what an attribute told.
func answerText(v patnc.Value) string {
	switch v := v.(type) {
	case patnc.ProductInformation:
		return fmt.Sprintf("%q", v.Name)
	case patnc.NumericVersion:
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	case patnc.StringVersion:
		return fmt.Sprintf("%q", strings.TrimSpace(v.Version+" "+v.Build))
	case patnc.OperationalStatus:
		if v.LastUse.IsZero() {
			return fmt.Sprint(v.Status)
		}
		return fmt.Sprintf("since %s", v.LastUse.UTC().Format(time.DateTime))
	case patnc.ForwardingStatus:
		switch v.Status {
		case patnc.ForwardingEnabled:
			return "yes"
		case patnc.ForwardingDisabled:
			return "no"
		}
		return "unknown"
	case patnc.FactoryDefaultPassword:
		if v.Enabled {
			return "yes"
		}
		return "no"
	case patnc.PortFilter:
		return count(len(v.Ports), "port")
	case patnc.InstalledPackages:
		return count(len(v.Packages), "package")
	case patnc.DeviceID:
		return v.ID
	case patnc.Command:
		return fmt.Sprintf("%q", v.Text)
	case patnc.Dummy:
		return fmt.Sprintf("%d octets", v.Size)
	case patnc.Settings:
		var s []string
		for _, x := range v.Settings {
			s = append(s, x.Name)
		}
		return list(s)
	case patnc.Symlinks:
		return count(len(v.Links), "link")
	case pts.FileMeasurement:
		var names []string
		for _, f := range v.Files {
			names = append(names, path.Base(f.Name))
		}
		return fmt.Sprintf("%s: %s", count(len(names), "digest"), list(names))
	case pts.UnixFileMetadata:
		var names []string
		for _, f := range v.Files {
			names = append(names, fmt.Sprintf("%s %d octets", f.Name, f.Size))
		}
		return list(names)
	case pts.TPMVersionInformation:
		return fmt.Sprintf("%d octets", len(v.Info))
	case pts.AIK:
		if v.Naked {
			return "the key alone"
		}
		return "its certificate"
	case pts.SimpleComponentEvidence:
		return fmt.Sprintf("measurement in PCR %d", v.PCR)
	case pts.SimpleEvidenceFinal:
		if v.Kind == pts.QuoteNone {
			return "end of the evidence, unsigned"
		}
		return "quote: PCRs signed by the TPM"
	case patnc.ContractRequest:
		return fmt.Sprintf("messages of %d octets in segments of %d", v.MaxMessage, v.MaxSegment)
	case patnc.ContractResponse:
		return fmt.Sprintf("messages of %d octets in segments of %d", v.MaxMessage, v.MaxSegment)
	case patnc.Error:
		if v.Vendor == patnc.VendorTCG {
			return "refused: " + pts.ErrorCode(v.Code).String()
		}
		return "refused: " + v.String()
	case patnc.Raw:
		return fmt.Sprintf("%d octets", len(v.Data))
	}
	return text1(v)
}

// text1 is a value in its own words.
func text1(v patnc.Value) string {
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	return strings.Trim(fmt.Sprintf("%v", v), "{}")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// list shows the first of several names.
func list(names []string) string {
	if len(names) > maxNames {
		return strings.Join(names[:maxNames], ", ") + fmt.Sprintf(" and %d more", len(names)-maxNames)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// writeRows prints the table for people.
func writeRows(w io.Writer, rows []answerRow) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "The gateway asked for nothing, and nothing about this machine was sent.")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "asked by\twhat\tanswered by\twith\n")
	for _, r := range rows {
		who := r.Verifier
		if who == "" {
			who = "nobody"
		}
		imc, with := r.IMC, summary(r.Answers)
		if imc == "" {
			imc = "-"
		}
		if with == "" {
			with = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(who), printable(r.Asked), printable(imc), printable(with))
	}
	_ = t.Flush()
}

// summary shortens many answers to one question.
func summary(answers []string) string {
	if len(answers) > maxNames {
		return fmt.Sprintf("%s; %d more", strings.Join(answers[:2], "; "), len(answers)-2)
	}
	return strings.Join(answers, "; ")
}
