package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/doctor"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newDoctor() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what here would keep a connection from working, and what to do",
		Long: `Looks at the kernel (ESP, TUN), rights, ports, clock, certificates, TPM, IMA and
the configuration files. Nothing is changed. Exit code 1 where something would
keep every connection from working.`,
		Example: "  sudo tnc doctor",
		Args:    usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := report.NewFindings(doctor.Examine(o.Files, time.Now()))
			if o.json {
				if err := report.WriteJSON(cmd.OutOrStdout(), found); err != nil {
					return err
				}
			} else {
				found.Write(cmd.OutOrStdout(), true)
			}
			switch bad := found.Errors(); {
			case bad == 1:
				return errors.New("one error keeps connections from working")
			case bad > 1:
				return fmt.Errorf("%d errors keep connections from working", bad)
			}
			return nil
		},
	}
	o.fileFlags(cmd)
	usage.JSONFlag(cmd, &o.json)
	return cmd
}
