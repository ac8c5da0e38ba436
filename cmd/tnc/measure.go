package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/advice"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
)

type measureOptions struct {
	options
	bios, ima, hash, tcti string
}

// measured is the outcome of tnc measure; `--json` prints it, its field names
// are an interface for scripts.
type measured struct {
	TPM      *measuredTPM `json:"tpm"` // null: none
	TPMError string       `json:"tpm_error,omitempty"`
	AIK      string       `json:"aik,omitempty"` // "certificate", "public key"
	AIKError string       `json:"aik_error,omitempty"`
	*evidence.Report
	failed error // a TPM that is there or was named, and could not be read
}

type measuredTPM struct {
	Generation   string   `json:"generation"`
	Manufacturer string   `json:"manufacturer"`
	Vendor       string   `json:"vendor,omitempty"`
	Revision     string   `json:"revision"`
	Firmware     string   `json:"firmware"`
	Banks        []string `json:"banks"`
}

func newMeasure() *cobra.Command {
	var o measureOptions
	cmd := &cobra.Command{
		Use:   "measure",
		Short: "Print what a verifier would be told, and whether the TPM bears it out",
		Long: `Reads the logs of firmware and kernel, computes the PCRs that they lead to, and
compares them with the TPM's: what the attestation IMC would report, without a
network. Where they differ, the first difference is named.

Exit codes:
  0  no difference, or no TPM to compare with
  1  a difference, a TPM that cannot be read, or any other failure
  2  the command line is wrong`,
		Example: `  sudo tnc measure
  sudo tnc measure --json | jq .first_difference
  tnc measure --ima-log ./binary_runtime_measurements --bios-log ./binary_bios_measurements`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.measure(cmd) },
	}
	f := cmd.Flags()
	strongswanFlag(cmd, &o.Strongswan)
	f.StringVar(&o.bios, "bios-log", evidence.DefaultBIOSLog, "firmware event log; none leaves it out")
	f.StringVar(&o.ima, "ima-log", evidence.DefaultIMALog, "IMA runtime measurement list, binary; none leaves it out")
	f.StringVar(&o.hash, "hash", "", "PCR bank: sha1, sha256, sha384 or sha512 (default: as the IMC would choose)")
	f.StringVar(&o.tcti, "tcti", "", "TPM, as in device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321; none compares with no TPM (default plugins.tpm.tcti of strongswan.conf)")
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	f.CountVarP(&o.verbose, "verbose", "v", "log as strongSwan does, on standard error; twice for details")
	return cmd
}

func (o *measureOptions) measure(cmd *cobra.Command) error {
	view, err := o.IMCSettings()
	if err != nil {
		return err
	}
	for flag, file := range map[string]*string{"bios-log": &o.bios, "ima-log": &o.ima} {
		if *file == "none" {
			*file = os.DevNull
		} else if cmd.Flags().Changed(flag) {
			if err := regular(*file); err != nil {
				return usage.FileError(*file, "--"+flag, err)
			}
		}
	}
	logger := o.logger(cmd.ErrOrStderr())
	collect := evidence.FromSettings(view, logger)
	collect.BIOSLog, collect.IMALog = o.bios, o.ima
	tpmConfig := quoter.FromSettings(view, logger)
	tpmConfig.Explain = advice.TPM
	if o.tcti != "" {
		tpmConfig.Device = device.ParseTCTI(o.tcti)
	}
	q := quoter.New(tpmConfig)
	defer q.Close()
	ctx := cmd.Context()

	var m measured
	setting := settings.HashAlgorithm.Read(view)
	named := setting
	if named == "" {
		named = "sha384"
	}
	hashes, ok := pts.HashAlgorithmsUpTo(named)
	if !ok {
		return errors.New("imc-attestation.hash_algorithm of strongswan.conf is no algorithm: write sha1, sha256, sha384 or sha512")
	}
	alg := hashes.Strongest()
	if o.hash != "" {
		set, ok := pts.HashAlgorithmsUpTo(o.hash)
		if !ok {
			return usage.Errorf("--hash %s: not one of sha1, sha256, sha384, sha512", o.hash)
		}
		alg = set.Strongest()
	}
	var values pcr.Values
	if o.tcti == "none" {
		m.TPMError = "not asked"
	} else if banks, err := q.Algorithms(ctx); err != nil {
		m.TPMError = err.Error()
		if named := tpmConfig.Device != (device.Config{}); named || !errors.Is(err, pts.ErrNoTPM) {
			m.failed = fmt.Errorf("the logs were not compared with the TPM: %w", err)
		}
	} else {
		if o.hash == "" {
			alg = (hashes & banks).Strongest()
			if own := evidence.New(collect).Algorithm(); setting == "" && own != pts.SHA1 && hashes&banks&own != 0 {
				alg = own
			}
		}
		if alg == 0 || banks&alg == 0 {
			return fmt.Errorf("the TPM has no PCR bank that is asked for: it has %v", banks)
		}
		info, err := q.Info(ctx)
		if err != nil {
			return fmt.Errorf("read TPM: %w", err)
		}
		m.TPM = &measuredTPM{Generation: info.Generation.String(), Manufacturer: info.Manufacturer, Vendor: info.Vendor,
			Revision: info.Revision, Firmware: info.Firmware, Banks: strings.Split(banks.String(), "|")}
		// Before the logs: they then hold at least what the PCRs hold.
		if values, err = q.ReadPCRs(ctx, alg, pcr.All); err != nil {
			return fmt.Errorf("read PCRs: %w", err)
		}
		switch aik, err := q.AIK(ctx); {
		case err != nil:
			m.AIKError = err.Error()
		case aik.Naked:
			m.AIK = "public key"
		default:
			m.AIK = "certificate"
		}
	}
	if m.Report, err = evidence.Inspect(ctx, collect, alg, values); err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		if err := enc.Encode(m); err != nil {
			return err
		}
	} else {
		m.writeTable(cmd.OutOrStdout())
	}
	failed := m.failed
	if err := m.Unread(); failed == nil && err != nil {
		failed = fmt.Errorf("not all was measured: %w", err)
	}
	switch d := m.Difference; {
	case d != nil && m.failed != nil:
		return fmt.Errorf("a verifier would refuse this machine: %v; %w", d, m.failed)
	case d != nil:
		return fmt.Errorf("a verifier would refuse this machine: %v", d)
	}
	return failed
}

// regular says why a log that was named cannot be read as often as it takes. That
// the kernel has none of its own is part of the report.
func regular(file string) error {
	i, err := os.Stat(file)
	if err == nil && !i.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	return err
}

func (m *measured) writeTable(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, v ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, v...)) }
	if t := m.TPM; t != nil {
		row("TPM", "%s %s %s, revision %s, firmware %s", t.Generation, t.Manufacturer, t.Vendor, t.Revision, t.Firmware)
		row("banks", "%s", strings.Join(t.Banks, " "))
		if m.AIKError != "" {
			row("AIK", "none: %s", m.AIKError)
		} else {
			row("AIK", "%s", m.AIK)
		}
	} else if m.failed != nil {
		row("TPM", "cannot be read")
	} else {
		row("TPM", "none: %s", m.TPMError)
	}
	row("reported bank", "%s, started from locality %d", m.Bank, m.Locality)
	for _, c := range m.Components {
		row("component", "%s", c.Name)
		what := fmt.Sprintf("%d entries", c.Entries)
		if c.Later > 0 {
			what += fmt.Sprintf(", the last %d of them newer than the PCRs below", c.Later)
		}
		if c.Violation > 0 {
			what += fmt.Sprintf(", %d violations", c.Violation)
		}
		if len(c.Templates) > 0 {
			var names []string
			for n, k := range c.Templates {
				names = append(names, fmt.Sprintf("%s %d", n, k))
			}
			sort.Strings(names)
			what += " (" + strings.Join(names, ", ") + ")"
		}
		if c.Error != "" {
			what += "; " + c.Error
		}
		row("", "%s", what)
		if c.Log != "" && c.Log != os.DevNull {
			row("", "%s", c.Log)
		}
	}
	if m.BootAggregate != "" {
		row("boot aggregate", "%s", m.BootAggregate)
	}
	for _, n := range m.Notes {
		row("note", "%s", n)
	}
	_ = w.Flush()
	if len(m.PCRs) > 0 {
		fmt.Fprintln(out)
		w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PCR\tentries\t\treplayed")
		for _, p := range m.PCRs {
			switch {
			case p.Matches == nil:
				fmt.Fprintf(w, "%d\t%d\t\t%s\n", p.PCR, p.Entries, p.Replayed)
			case *p.Matches:
				fmt.Fprintf(w, "%d\t%d\tas the TPM\t%s\n", p.PCR, p.Entries, p.Replayed)
			default:
				fmt.Fprintf(w, "%d\t%d\tDIFFERS\t%s\n\t\tTPM\t%s\n", p.PCR, p.Entries, p.Replayed, p.TPM)
			}
		}
		_ = w.Flush()
	}
	if m.Matches != nil && *m.Matches && len(m.PCRs) > 0 {
		fmt.Fprintln(out, "\nno difference")
	}
}
