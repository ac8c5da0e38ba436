package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// tncConfig is the configuration of the TNC client in charon's settings.
func (s *setup) tncConfig(logger *slog.Logger, mutual bool) (tnccs.Config, error) {
	v := s.strongswan.View("charon")
	cfg := tnccs.Config{
		Logger:            logger,
		PreferredLanguage: v.String("plugins.tnc-imc.preferred_language", ""),
		MaxBatchSize:      v.Int("plugins.tnccs-20.max_batch_size", 0),
		MaxMessageSize:    v.Int("plugins.tnccs-20.max_message_size", 0),
		MaxMessageSizeXML: v.Int("plugins.tnccs-11.max_message_size", 0),
		Protocol:          tnccs.Protocol(v.String("plugins.eap-tnc.protocol", "")),
		Tests: tnccs.Tests{
			NoSkip:  v.Bool("plugins.tnccs-20.tests.pb_tnc_noskip", false),
			Version: uint8(v.Int("plugins.tnccs-20.tests.pb_tnc_version", 0)),
		},
	}
	required := s.strongswan.View("tnc.mutual").Bool("required", false)
	if mutual || v.Bool("plugins.tnccs-20.mutual", false) {
		policy, err := mutualPolicy(s.strongswan)
		if err != nil {
			return cfg, err
		}
		cfg.Mutual, cfg.MutualRequired = mutualServer(policy, logger), required
	} else if required {
		return cfg, errors.New("tnc.mutual.required = yes measures nobody alone: set charon.plugins.tnccs-20.mutual = yes, or give pt-tls the flag --mutual")
	}
	return cfg, nil
}

// imcOptions says how IMCs are loaded. Beside strongSwan's settings there are
// charon.plugins.tnc-imc.in_process, which loads all of them into this process
// instead of a child each, and call_timeout. Once ctx is done calls end soon.
func imcOptions(ctx context.Context, s *config.Config, env []string, logger *slog.Logger) dlimc.Options {
	v := s.View("charon")
	return dlimc.Options{
		InProcess:   v.Bool("plugins.tnc-imc.in_process", false),
		CallTimeout: v.Duration("plugins.tnc-imc.call_timeout", dlimc.DefaultCallTimeout),
		Logger:      logger,
		Env:         env,
		Context:     ctx,
	}
}

// loadIMCs loads the IMCs into the client. One that is lost later is loaded
// again for the next connection.
func loadIMCs(client *tnccs.Client, entries []dlimc.Entry, o dlimc.Options, note func(dlimc.Entry)) error {
	if len(entries) > 0 {
		log.Group(o.Logger, log.TNC).Info("loading IMCs from '" + entries[0].File + "'")
	}
	o.Beside = entries
	for _, e := range entries {
		note(e)
		err := client.AddLoader(e.Name, func() (tnccs.IMC, error) { return dlimc.Load(e, o) })
		switch le := new(dlimc.LoadError); {
		case errors.As(err, &le):
			return err // it names the entry and its line
		case err != nil:
			return fmt.Errorf("%s:%d: load IMC %q from %s: %w", e.File, e.Line, e.Name, e.Path, err)
		}
	}
	return nil
}

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
	f.StringVar(&o.strongswan, "strongswan-conf", "", "strongswan.conf to read (default $STRONGSWAN_CONF, then /etc/strongswan.conf)")
	f.StringVar(&o.tncConfig, "tnc-config", "", "tnc_config to read (default libtnccs.tnc_config of strongswan.conf, then /etc/tnc_config)")
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
	s, err := o.newSetup()
	if err != nil {
		return err
	}
	path := o.tncConfig
	if path == "" {
		path = s.charon.TNCConfig
	}
	if path == "" {
		return errors.New("tnc_config is set to nothing in strongswan.conf: no IMC is loaded; name a file with --tnc-config")
	}
	entries, problems, err := dlimc.ParseTNCConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist: no IMC is loaded; write a line IMC \"NAME\" /path/to/library.so for each", path)
	}
	if err != nil {
		return unread("tnc_config", err, "")
	}
	out := []imcEntry{}
	for _, p := range problems {
		e := imcEntry{File: path, Error: p.Error()}
		var ce *dlimc.ConfigError
		if errors.As(p, &ce) {
			e.Line, e.Error = ce.Line, ce.What
		}
		out = append(out, e)
	}
	opts := imcOptions(cmd.Context(), s.strongswan, s.environ(), o.logger(cmd.ErrOrStderr(), 0))
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
func tryIMC(e dlimc.Entry, o dlimc.Options) imcEntry {
	out := imcEntry{Name: e.Name, Path: e.Path, File: e.File, Line: e.Line}
	client, err := tnccs.NewClient(tnccs.Config{Logger: o.Logger})
	if err == nil {
		err = client.AddLoader(e.Name, func() (tnccs.IMC, error) { return dlimc.Load(e, o) })
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
