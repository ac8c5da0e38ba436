package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/measure"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence"
)

func newMeasure() *cobra.Command {
	var o options
	var m measure.Config
	cmd := &cobra.Command{
		Use:   "measure",
		Short: "Print what a verifier would be told, compared with the TPM",
		Long: `Reads the logs of firmware and kernel, computes the PCRs that they lead to, and
compares them with the TPM's: what the attestation IMC would report, without a
network. Where they differ, the first difference is named.

Exit codes:
  0  no difference; or there is no TPM, or TPM or both logs were left out
  1  a difference, a TPM that cannot be read, or any other failure
  2  the command line is wrong
  3  nothing was compared: the kernel offers no log, no log has an entry, or
     the TPM does not have the bank, does not let it be read, or never
     extended it`,
		Example: `  sudo tnc measure
  sudo tnc measure --json | jq -r '.result, .sentence'
  sudo tnc measure --html booted.html
  tnc measure --ima-log ./binary_runtime_measurements --bios-log ./binary_bios_measurements`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMeasure(cmd, &o, m) },
	}
	f := cmd.Flags()
	usage.StrongswanFlag(cmd, &o.Strongswan)
	f.StringVar(&m.BIOSLog, "bios-log", evidence.DefaultBIOSLog, "firmware event log (default the kernel's); none leaves it out")
	f.StringVar(&m.IMALog, "ima-log", evidence.DefaultIMALog, "IMA runtime measurement list, binary (default the kernel's); none leaves it out")
	f.StringArrayVar(&m.IMASaved, "ima-saved", nil, "part of the list that the kernel exported and deleted; may be repeated, oldest first")
	f.StringVar(&m.SystemdLog, "systemd-log", evidence.DefaultSystemdLog, "log of what systemd measured; none leaves it out")
	f.StringVar(&m.Hash, "hash", "", "PCR bank: sha1, sha256, sha384 or sha512 (default: as the IMC would choose)")
	f.StringVar(&m.TCTI, "tcti", "", "TPM, as in device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321; none compares with no TPM (default plugins.tpm.tcti of strongswan.conf)")
	f.StringVar(&m.HTML, "html", "", "write the outcome as a page to this file, which loads nothing else")
	for _, name := range []string{"bios-log", "ima-log"} {
		f.Lookup(name).DefValue = "" // the help says it shorter
	}
	usage.JSONFlag(cmd, &o.json)
	usage.VerboseFlag(cmd, &o.verbose)
	return cmd
}

func runMeasure(cmd *cobra.Command, o *options, cfg measure.Config) (err error) {
	if cfg.Settings, err = o.IMCSettings(); err != nil {
		return report.Configured(err)
	}
	for _, file := range cfg.IMASaved {
		if err := measure.CheckLog(file, "--ima-saved"); err != nil {
			return err
		}
	}
	for flag, file := range map[string]string{"bios-log": cfg.BIOSLog, "ima-log": cfg.IMALog, "systemd-log": cfg.SystemdLog} {
		if file != "none" && cmd.Flags().Changed(flag) {
			if err := measure.CheckLog(file, "--"+flag); err != nil {
				return err
			}
		}
	}
	cfg.Logger = o.logger(cmd.ErrOrStderr())
	m, err := measure.Run(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if cfg.HTML != "" {
		if err := m.SaveHTML(cfg.HTML, time.Now()); err != nil {
			return err
		}
	}
	if o.json {
		if err := report.WriteJSON(cmd.OutOrStdout(), m); err != nil {
			return err
		}
	} else {
		m.WriteTable(cmd.OutOrStdout())
	}
	return m.Err()
}
