package explain

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs"
)

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

// subtypeName is the name of a kind of PA-TNC messages, without its vendor
// where it has one: "PTS".
func subtypeName(vendor, subtype uint32) string {
	name := tnccs.MessageType{Vendor: vendor, Subtype: subtype}.String()
	quoted, rest, _ := strings.Cut(strings.TrimPrefix(name, "'"), "'")
	if _, short, ok := strings.Cut(quoted, "/"); ok && !strings.HasPrefix(short, "(") {
		return short
	}
	return strings.TrimSpace(rest)
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
	for _, words := range [...]func(patnc.Value) (string, bool){platformText, filesText, evidenceText, protocolText} {
		if s, ok := words(v); ok {
			return s
		}
	}
	return ownText(v)
}

// platformText words the facts of the operating system.
func platformText(v patnc.Value) (string, bool) {
	switch v := v.(type) {
	case patnc.ProductInformation:
		return fmt.Sprintf("%q", v.Name), true
	case patnc.NumericVersion:
		return fmt.Sprintf("%d.%d", v.Major, v.Minor), true
	case patnc.StringVersion:
		return fmt.Sprintf("%q", strings.TrimSpace(v.Version+" "+v.Build)), true
	case patnc.OperationalStatus:
		if v.LastUse.IsZero() {
			return fmt.Sprint(v.Status), true
		}
		return fmt.Sprintf("since %s", v.LastUse.UTC().Format(time.DateTime)), true
	case patnc.ForwardingStatus:
		switch v.Status {
		case patnc.ForwardingEnabled:
			return "yes", true
		case patnc.ForwardingDisabled:
			return "no", true
		}
		return "unknown", true
	case patnc.FactoryDefaultPassword:
		return yesNo(v.Enabled), true
	case patnc.PortFilter:
		return count(len(v.Ports), "port"), true
	case patnc.InstalledPackages:
		return count(len(v.Packages), "package"), true
	case patnc.DeviceID:
		return v.ID, true
	case patnc.Settings:
		var names []string
		for _, s := range v.Settings {
			names = append(names, s.Name)
		}
		return list(names), true
	}
	return "", false
}

// filesText words what was measured of files.
func filesText(v patnc.Value) (string, bool) {
	var names []string
	switch v := v.(type) {
	case pts.FileMeasurement:
		for _, f := range v.Files {
			names = append(names, path.Base(f.Name))
		}
		return fmt.Sprintf("%s: %s", count(len(names), "digest"), list(names)), true
	case pts.UnixFileMetadata:
		for _, f := range v.Files {
			names = append(names, fmt.Sprintf("%s %d octets", f.Name, f.Size))
		}
		return list(names), true
	case patnc.Symlinks:
		return count(len(v.Links), "link"), true
	}
	return "", false
}

// evidenceText words what the TPM and its evidence say.
func evidenceText(v patnc.Value) (string, bool) {
	switch v := v.(type) {
	case pts.TPMVersionInformation:
		return fmt.Sprintf("%d octets", len(v.Info)), true
	case pts.DHNonceParametersRequest:
		return fmt.Sprintf("a nonce of %d octets or more", v.MinNonce), true
	case pts.DHNonceParametersResponse:
		return fmt.Sprintf("a random number of %s against replays, and the half of a key", count(len(v.Nonce), "octet")), true
	case pts.DHNonceFinish:
		return fmt.Sprintf("a random number of %s against replays, and the other half of the key", count(len(v.Nonce), "octet")), true
	case pts.AIK:
		if v.Naked {
			return "the key alone", true
		}
		return "its certificate", true
	case pts.SimpleComponentEvidence:
		return fmt.Sprintf("measurement in PCR %d", v.PCR), true
	case pts.SimpleEvidenceFinal:
		if v.Kind == pts.QuoteNone {
			return "end of the evidence, unsigned", true
		}
		return "quote: PCRs signed by the TPM", true
	}
	return "", false
}

// protocolText words what both ends agree on, refusals, and what has no codec.
func protocolText(v patnc.Value) (string, bool) {
	switch v := v.(type) {
	case patnc.Command:
		return fmt.Sprintf("%q", v.Text), true
	case patnc.Dummy:
		return fmt.Sprintf("%d octets", v.Size), true
	case patnc.ContractRequest:
		return contract(v.Contract), true
	case patnc.ContractResponse:
		return contract(v.Contract), true
	case pts.ProtocolCapabilities:
		return capable(v.Capabilities), true
	case pts.MeasurementAlgorithmSelection:
		return algorithmWords.Replace(v.Algorithm.String()), true
	case patnc.Error:
		if v.Vendor == patnc.VendorTCG {
			if info, err := pts.ParseErrorInfo(v); err == nil {
				return "refused: " + info.String(), true
			}
			return "refused: " + pts.ErrorCode(v.Code).String(), true
		}
		return "refused: " + v.String(), true
	case patnc.Raw:
		if what, ok := swimaCounts[v.T]; ok && len(v.Data) >= 4 {
			return count(int(v.Data[1])<<16|int(v.Data[2])<<8|int(v.Data[3]), what), true
		}
		return count(len(v.Data), "octet"), true
	}
	return "", false
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// swimaCounts says what the answers of SWIMA hold (RFC 8412 sections 5.8 to
// 5.11): their number has three octets, behind one of flags.
var swimaCounts = map[patnc.Type]string{
	{Type: 14}: "name of installed software",
	{Type: 15}: "event of software, by name",
	{Type: 16}: "record of installed software",
	{Type: 17}: "event of software, with its record",
}

// contract words a segmentation contract.
func contract(c patnc.Contract) string {
	if c.MaxMessage == patnc.NoLimit {
		return fmt.Sprintf("messages of any size in segments of %d octets", c.MaxSegment)
	}
	return fmt.Sprintf("messages of %d octets in segments of %d", c.MaxMessage, c.MaxSegment)
}

// algorithmWords takes strongSwan's spelling out of digest algorithms.
var algorithmWords = strings.NewReplacer("HASH_SHA2_", "SHA-", "HASH_SHA1", "SHA-1")

// capable says what a measuring end can do beside measuring files, which all can.
func capable(c pts.Capabilities) string {
	words := []string{"files"}
	for _, w := range []struct {
		bit  pts.Capabilities
		text string
	}{
		{pts.CapTPM, "evidence of the TPM"},
		{pts.CapDHNonce, "nonces of both ends"},
		{pts.CapCurrent, "what is in memory"},
		{pts.CapXML, "evidence as XML"},
	} {
		if c&w.bit != 0 {
			words = append(words, w.text)
		}
	}
	return strings.Join(words, ", ")
}

// ownText returns a value in its own words, or says how long it is: its fields are not for
// people.
func ownText(v patnc.Value) string {
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	b, err := v.AppendValue(nil)
	if err != nil || len(b) == 0 {
		return "nothing more"
	}
	return count(len(b), "octet")
}

// count puts a number before a noun, which may have words behind it.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	noun, rest, more := strings.Cut(what, " ")
	if noun += "s"; more {
		noun += " " + rest
	}
	return fmt.Sprintf("%d %s", n, noun)
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
