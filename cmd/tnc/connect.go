package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/cmd/tnc/internal/password"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/service"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
)

// journalSocket is where decisions go, but in tests.
var journalSocket = service.JournalSocket

// connect runs a connection and prints its outcome: at the end, or where it
// stays up as soon as it is.
func (o *options) connect(cmd *cobra.Command, name string, stay bool) error {
	p, err := o.load(name)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := o.prepare(cmd, p); err != nil {
		return err
	}
	var progress *report.Progress
	if o.verbose == 0 {
		progress = report.NewProgress(cmd.ErrOrStderr())
		defer progress.End()
	}
	systemd := service.New(journalSocket)
	var transcript *explain.Transcript
	var keys *os.File
	cfg := client.Config{
		Words: func(r client.Result, err error) (sentence, code string) {
			err = p.InWords(report.Explain(r, err))
			return report.Sentences(err), report.CodeOf(err)
		},
		OnEvent: func(e client.Event) {
			o.sayEvent(cmd.ErrOrStderr(), progress, e)
			if err := systemd.Happened(e); err != nil {
				report.WriteWarnings(cmd.ErrOrStderr(), []error{fmt.Errorf("tell systemd: %w", err)})
			}
		},
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
			o.printed = true
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
	if stay {
		watching, stop := context.WithCancel(context.Background())
		defer stop()
		go systemd.Run(watching, func() { c.Status() })
	}
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

// prepare says what is doubtful in the configuration, and asks for passwords that no
// file holds, where somebody can be asked.
func (o *options) prepare(cmd *cobra.Command, p *profile.Profile) error {
	if err := report.Configured(p.RequireIMC()); err != nil {
		return err
	}
	report.WriteWarnings(cmd.ErrOrStderr(), p.Warnings)
	ask := password.Find(cmd.ErrOrStderr())
	if ask == nil || o.json {
		return nil
	}
	return report.Configured(p.AskSecrets(cmd.Context(), ask))
}

// sayEvent says on w what happens to a connection beside its first outcome and its end,
// which are printed, where no log does. progress has it until then.
func (o *options) sayEvent(w io.Writer, progress *report.Progress, e client.Event) {
	switch {
	case o.verbose > 0, e.Kind == client.EventEnded, e.Kind == client.EventUp && !o.printed:
	case progress != nil && !o.printed:
		progress.Note("%s", report.EventLine(e))
	default:
		terminal.Line(w, 2, "%s", report.EventLine(e))
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
