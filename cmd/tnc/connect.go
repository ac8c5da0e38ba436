package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// connect runs a connection and prints its outcome: at the end, or where it
// stays up as soon as it is.
func (o *options) connect(cmd *cobra.Command, name string, stay bool) error {
	p, err := o.load(name)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := report.Configured(p.RequireIMC()); err != nil {
		return err
	}
	report.WriteWarnings(cmd.ErrOrStderr(), p.Warnings)
	var progress *report.Progress
	if o.verbose == 0 {
		progress = report.NewProgress(cmd.ErrOrStderr())
		defer progress.End()
	}
	var transcript *explain.Transcript
	var keys *os.File
	cfg := client.Config{
		Words: func(r client.Result, err error) (sentence, code string) {
			err = p.InWords(report.Explain(r, err))
			return report.Sentences(err), report.CodeOf(err)
		},
		OnEvent: o.onEvent(cmd.ErrOrStderr()),
		Profile: p, Version: version, Logger: p.LogLevels.Logger(cmd.ErrOrStderr(), o.verbose), Dataplane: o.dataplane,
		Stay: stay, Reattest: o.reattest, Progress: progress.Note,
	}
	if o.explain {
		transcript = &explain.Transcript{}
		cfg.Trace = transcript.Add
	}
	if o.keylog != "" {
		cfg.KeyLog = func(line string) { fmt.Fprintln(keys, line) }
	}
	ctx, met := client.WithTimeout(cmd.Context(), o.timeout)
	defer met()
	cfg.Met = met
	w := cmd.OutOrStdout()
	cfg.OnUp = func(r client.Result) {
		progress.End()
		if stay {
			o.print(w, report.NewOutcome(r, nil), transcript)
			if !o.json {
				fmt.Fprintf(w, "connected; Ctrl-C disconnects\n")
			}
		}
	}
	c, err := client.New(ctx, cfg)
	if err != nil {
		return client.TimedOut(ctx, err)
	}
	defer c.Close()
	if o.keylog != "" {
		if keys, err = openKeyLog(o.keylog); err != nil {
			return err
		}
		defer keys.Close()
	}
	r, err := c.Run(ctx)
	progress.End()
	err = p.InWords(report.Explain(r, client.TimedOut(ctx, err)))
	out := report.NewOutcome(r, err)
	if !stay || !r.Up && !r.Trapped {
		if o.json || err == nil || out.Recommendation != client.None {
			o.print(w, out, transcript)
		}
	}
	return out.Exit(err)
}

// onEvent returns what says on w what happens to a connection after its outcome was
// printed, where no log does.
func (o *options) onEvent(w io.Writer) func(client.Event) {
	first := true
	return func(e client.Event) {
		before := first
		first = first && e.Kind != client.EventUp && e.Kind != client.EventTrapped
		if o.verbose == 0 && !before && e.Kind != client.EventEnded {
			terminal.Line(w, 2, "%s", report.EventLine(e))
		}
	}
}

// print prints an outcome; transcript is that of --explain, else nil.
func (o *options) print(w io.Writer, out *report.Outcome, transcript *explain.Transcript) {
	if transcript != nil {
		out.Explained = transcript.Rows()
	}
	if o.json {
		_ = report.WriteJSON(w, out)
		return
	}
	out.WriteTable(w)
	if transcript != nil {
		fmt.Fprintln(w)
		explain.WriteTable(w, out.Explained)
	}
}

// openKeyLog makes the file, which must not exist: mode 0600 holds from the
// first octet on.
func openKeyLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the key file: %w: name one that does not exist", err)
	}
	return f, nil
}
