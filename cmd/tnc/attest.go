package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
)

func newAttest() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "attest NAME",
		Short: "Connect, attest, print the outcome, disconnect",
		Long: `Connects to the gateway of connection NAME in swanctl.conf, answers what its
verifiers ask, prints what they decided, and disconnects. No packet is carried
unless --dataplane says so; no rights are needed beyond those to measure.

` + exitHelp,
		Example: `  tnc attest home
  tnc attest home --json | jq -r .recommendation
  tnc attest home --explain
  tnc attest home -v --swanctl ./swanctl.conf --tnc-config ./tnc_config`,
		Args:              oneConnection,
		ValidArgsFunction: o.completeConnection,
		RunE:              func(cmd *cobra.Command, args []string) error { return attest(cmd, &o, args[0]) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.explain, "explain", false, "print what each verifier asked for and what it was answered, in plain words")
	return cmd
}

func attest(cmd *cobra.Command, o *options, name string) error {
	if o.dataplane == "auto" {
		o.dataplane = "none" // nothing is to be carried
	}
	return o.connect(cmd, name, 0, false)
}

// connect runs a connection and prints its outcome: at the end, or where it
// stays up as soon as it stands.
func (o *options) connect(cmd *cobra.Command, name string, verbosity int, stay bool) error {
	s, err := o.load(name)
	if err != nil {
		return err
	}
	defer s.Close()
	warn(cmd.ErrOrStderr(), s)
	logger := s.LogLevels.Logger(cmd.ErrOrStderr(), o.verbose+verbosity)
	var p *progress
	if o.verbose+verbosity == 0 {
		p = newProgress(cmd.ErrOrStderr())
		defer p.end()
	}
	c, err := newConnection(cmd.Context(), s, logger, p, o.explain)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.choosePlane(o.dataplane); err != nil {
		return err
	}
	c.stay, c.reattest = stay, o.reattest
	if o.keylog != "" {
		f, err := openKeyLog(o.keylog)
		if err != nil {
			return err
		}
		defer f.Close()
		c.keylog = func(line string) { fmt.Fprintln(f, line) }
	}
	if _, carries := c.plane.(noPlane); stay && (!carries || os.Geteuid() == 0) {
		if c.guard, err = newGuard(c); err != nil {
			return err
		}
		defer c.guard.close()
	}
	print := func(out *outcome) {
		if c.transcript != nil {
			out.Explained = c.transcript.Rows()
		}
		if o.json {
			_ = out.writeJSON(cmd.OutOrStdout())
		} else {
			out.writeTable(cmd.OutOrStdout())
			if c.transcript != nil {
				fmt.Fprintln(cmd.OutOrStdout())
				explain.WriteTable(cmd.OutOrStdout(), out.Explained)
			}
		}
	}
	if stay {
		c.ready = func(out *outcome) {
			print(out)
			if !o.json {
				fmt.Fprintf(cmd.OutOrStdout(), "connected; Ctrl-C disconnects\n")
			}
		}
	}
	out, err := c.run(cmd.Context())
	p.end()
	if !stay || !c.up && !c.trap.laid {
		if o.json || err == nil || out.Recommendation != recNone {
			print(out)
		}
	}
	switch {
	case out.ExitCode == exitAllowed:
		return nil
	case out.ExitCode == exitFailure:
		return err
	}
	return &exitError{code: out.ExitCode}
}
