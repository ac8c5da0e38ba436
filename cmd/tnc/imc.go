package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/imccheck"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imclist"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newIMC() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "imc",
		Short: "Look at the IMCs of tnc_config",
		Args:  usage.Subcommand,
		RunE:  report.HelpOnly,
	}
	cmd.AddCommand(newIMCList(), newIMCCheck())
	return cmd
}

func newIMCList() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Load each IMC of tnc_config, say what it receives or why it fails",
		Long: `Loads each IMC of tnc_config as a connection would, one after the other, and
prints its version of IF-IMC and the message types that it subscribes to, or why
it does not load. Nothing is sent. Exits 1 where an entry fails.`,
		Example: `  tnc imc list
  tnc imc list --tnc-config ./tnc_config --json`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return imcList(cmd, &o) },
	}
	usage.StrongswanFlag(cmd, &o.Strongswan)
	tncConfigFlag(cmd, &o.TNCConfig)
	usage.JSONFlag(cmd, &o.json)
	usage.VerboseFlag(cmd, &o.verbose)
	return cmd
}

func imcList(cmd *cobra.Command, o *options) error {
	p, err := o.LoadSettings()
	if err != nil {
		return report.Configured(err)
	}
	entries, err := imclist.Load(cmd.Context(), p, o.logger(cmd.ErrOrStderr()))
	if err != nil {
		return report.Configured(err)
	}
	if o.json {
		if err := report.WriteJSON(cmd.OutOrStdout(), entries); err != nil {
			return err
		}
	} else {
		imclist.WriteTable(cmd.OutOrStdout(), entries)
	}
	if len(entries) == 0 {
		return fmt.Errorf("%s names no IMC: add a line IMC \"Attestation\" /path/of/imc-attestation.so", p.TNCConfigPath())
	}
	if failed := imclist.Failed(entries); failed > 0 {
		return fmt.Errorf("%d of %d entries of %s fail: a connection would not start", failed, len(entries), p.TNCConfigPath())
	}
	return nil
}

func newIMCCheck() *cobra.Command {
	var o options
	var charon string
	cmd := &cobra.Command{
		Use:   "check [TNC_CONFIG]",
		Short: "Say whether strongSwan here will load the IMCs of tnc_config",
		Long: `Looks at each charon of this machine: whether it has the plugins that load IMCs,
and what of AppArmor, C library, architecture or file modes would keep it from
opening a library of tnc_config. Nothing is loaded or changed. Exits 1 where an
entry would not be loaded.`,
		Example: `  tnc imc check
  tnc imc check ./tnc_config --charon /opt/strongswan/libexec/ipsec/charon
  tnc imc check --json | jq .loads`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage.Errorf("%s takes one tnc_config, got %q", cmd.CommandPath(), args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.TNCConfig = args[0]
			}
			return imcCheck(cmd, &o, charon)
		},
	}
	f := cmd.Flags()
	usage.StrongswanFlag(cmd, &o.Strongswan)
	f.StringVar(&charon, "charon", "", "program to look at (default those that run or are installed)")
	usage.JSONFlag(cmd, &o.json)
	return cmd
}

func imcCheck(cmd *cobra.Command, o *options, charon string) error {
	p, err := o.LoadSettings()
	if err != nil {
		return err
	}
	cfg, err := imccheck.FromProfile(p, charon)
	if err != nil {
		return err
	}
	r := imccheck.Check(cfg)
	if o.json {
		if err := report.WriteJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	} else {
		r.Findings.Write(cmd.OutOrStdout(), true)
	}
	if !r.Loads {
		return fmt.Errorf("strongSwan would not load all of %s", p.TNCConfigPath())
	}
	return nil
}
