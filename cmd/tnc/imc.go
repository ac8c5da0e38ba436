package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

func newIMC() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "imc",
		Short: "Look at the IMCs of tnc_config",
		Args:  subcommand,
		RunE:  helpOnly,
	}
	cmd.AddCommand(newIMCList())
	return cmd
}

func newIMCList() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Load each IMC of tnc_config and say what it receives, or why it fails",
		Long: `Loads each IMC of tnc_config as a connection would, one after the other, and
prints its version of IF-IMC and the message types that it subscribes to, or why
it does not load. Nothing is sent. Exits 1 where an entry fails.`,
		Example: `  tnc imc list
  tnc imc list --tnc-config ./tnc_config --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return imcList(cmd, &o) },
	}
	f := cmd.Flags()
	strongswanFlag(cmd, &o.Strongswan)
	tncConfigFlag(cmd, &o.TNCConfig)
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.CountVarP(&o.verbose, "verbose", "v", "log what the IMCs say, on standard error; twice for details")
	return cmd
}

// imcEntry is one line of tnc_config with what became of it. `--json` prints it.
type imcEntry struct {
	Name    string   `json:"name,omitempty"`
	Path    string   `json:"path,omitempty"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Version uint32   `json:"version,omitempty"` // of IF-IMC, as the library chose it
	Long    bool     `json:"long_types"`        // it receives messages of long types (IF-IMC 1.3)
	Types   []string `json:"types,omitempty"`   // that it receives
	Error   string   `json:"error,omitempty"`
}

func imcList(cmd *cobra.Command, o *options) error {
	p, err := o.LoadSettings()
	if err != nil {
		return err
	}
	entries, problems, err := p.ListTNCConfig()
	if err != nil {
		return err
	}
	path := p.TNCConfigPath()
	out := []imcEntry{}
	for _, problem := range problems {
		e := imcEntry{File: path, Error: problem.Error()}
		var ce *dlimc.ConfigError
		if errors.As(problem, &ce) {
			e.Line, e.Error = ce.Line, ce.What
		}
		out = append(out, e)
	}
	opts := p.IMCOptions(cmd.Context(), o.logger(cmd.ErrOrStderr()))
	opts.InProcess = false // one that crashes must not take this list along
	for _, e := range entries {
		out = append(out, tryIMC(e, opts))
	}
	slices.SortStableFunc(out, func(a, b imcEntry) int { return a.Line - b.Line })
	if o.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(out); err != nil {
			return err
		}
	} else {
		writeIMCs(cmd.OutOrStdout(), path, out)
	}
	failed := 0
	for _, e := range out {
		if e.Error != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d entries of %s fail: a connection would not start", failed, len(out), path)
	}
	return nil
}

// tryIMC loads one IMC in a client of its own.
func tryIMC(e dlimc.Entry, cfg dlimc.Config) imcEntry {
	out := imcEntry{Name: e.Name, Path: e.Path, File: e.File, Line: e.Line}
	client, err := tnccs.NewClient(tnccs.Config{Logger: cfg.Logger})
	if err == nil {
		err = dlimc.Add(client, e, cfg)
	}
	if err == nil {
		for _, c := range client.Collectors() {
			out.Version, out.Long = c.Version, c.Long
			for _, t := range c.Types {
				out.Types = append(out.Types, t.String())
			}
		}
	} else {
		out.Error = err.Error()
		var le *dlimc.LoadError
		if errors.As(err, &le) {
			out.Error = le.Err.Error()
			if le.Detail != "" {
				out.Error += ": " + le.Detail
			}
			out.Error += report.Remedy(err)
		}
	}
	if client != nil {
		if err := client.Close(); err != nil && out.Error == "" {
			out.Error = err.Error()
		}
	}
	return out
}

func writeIMCs(w io.Writer, path string, entries []imcEntry) {
	if len(entries) == 0 {
		fmt.Fprintf(w, "%s names no IMC\n", path)
		return
	}
	for _, e := range entries {
		name := fmt.Sprintf("IMC %q", e.Name)
		if e.Path == "" {
			name = "bad line"
		}
		fmt.Fprintf(w, "%s:%d  %s\n", e.File, e.Line, text.Printable(name))
		say := func(what, value string) { fmt.Fprintf(w, "  %-8s  %s\n", what, text.Printable(value)) }
		if e.Path != "" {
			say("library", e.Path)
		}
		if e.Error != "" {
			say("FAILS", e.Error)
			continue
		}
		// IF-IMC 1.0 to 1.3 share version 1.
		kind := "1.3, long message types"
		if !e.Long {
			kind = "1.2 or older, short message types only"
		}
		say("IF-IMC", fmt.Sprintf("version %d (%s)", e.Version, kind))
		types := strings.Join(e.Types, ", ")
		if types == "" {
			types = "none: it only sends"
		}
		say("receives", types)
	}
}
