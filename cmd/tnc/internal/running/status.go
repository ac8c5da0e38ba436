package running

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

func newStatus() *cobra.Command {
	var asJSON, prometheus bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the connections that tnc up keeps",
		Long: `Shows each connection that a tnc up keeps, also one that is not up now: the decision
with its reasons, when the gateway was last heard, what failed and what to do, and
what is tried again. Everyone may ask; it holds no secrets.

With --prometheus it prints metrics in Prometheus' text format, as its node_exporter
takes them from a file (textfile collector).

` + report.ExitHelpPlain,
		Example: `  tnc status
  tnc status home --json | jq -r .[0].state
  tnc status --prometheus >/var/lib/prometheus/node-exporter/tnc.prom`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage.Errorf("tnc status takes the name of one connection, or none for all")
			}
			if asJSON && prometheus {
				return usage.Errorf("--json and --prometheus exclude each other")
			}
			return nil
		},
		ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := client.DefaultRunDir().Statuses(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				all = slices.DeleteFunc(all, func(s client.Status) bool { return s.Connection != args[0] })
			}
			w := cmd.OutOrStdout()
			switch {
			case asJSON:
				err = report.WriteJSON(w, all)
			case prometheus:
				report.WriteMetrics(w, all, time.Now())
			case len(all) == 0 && len(args) == 0:
				fmt.Fprintln(w, "no connection is up")
			default:
				for _, s := range all {
					report.WriteStatus(w, s)
				}
			}
			if err == nil && len(all) == 0 && len(args) == 1 {
				err = &report.Sentence{Err: fmt.Errorf("connection %q %w", args[0], client.ErrNotUp), Remedy: ": start it with tnc up " + args[0]}
			}
			return err
		},
	}
	usage.JSONFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&prometheus, "prometheus", false, "print metrics for Prometheus")
	return cmd
}
