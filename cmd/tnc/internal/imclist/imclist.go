// Package imclist loads each IMC of tnc_config and says what it receives, or why it
// fails, as the command imc list does.
package imclist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/terminal"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// Entry is one line of tnc_config with what became of it. `--json` prints it.
type Entry struct {
	Name    string   `json:"name,omitempty"`
	Path    string   `json:"path,omitempty"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Version uint32   `json:"version,omitempty"` // of IF-IMC, as the library chose it
	Long    bool     `json:"long_types"`        // it receives messages of long types (IF-IMC 1.3)
	Types   []string `json:"types,omitempty"`   // that it receives
	Unsafe  string   `json:"unsafe,omitempty"`  // who else may change the library
	Error   string   `json:"error,omitempty"`
}

// Load loads each IMC of tnc_config as a connection would, one after the other, and
// unloads it. Entries are in the order of the file.
func Load(ctx context.Context, p *profile.Profile, logger *slog.Logger) ([]Entry, error) {
	entries, problems, err := p.ListTNCConfig()
	if err != nil {
		return nil, err
	}
	out := []Entry{}
	for _, problem := range problems {
		e := Entry{File: p.TNCConfigPath(), Error: problem.Error()}
		var ce *dlimc.ConfigError
		if errors.As(problem, &ce) {
			e.Line, e.Error = ce.Line, ce.What
		}
		out = append(out, e)
	}
	cfg := p.IMCOptions(ctx, logger)
	cfg.InProcess = false // one that crashes must not take this list along
	for _, e := range entries {
		out = append(out, load(e, cfg))
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return a.Line - b.Line })
	return out, nil
}

// Failed returns how many entries fail.
func Failed(entries []Entry) (n int) {
	for _, e := range entries {
		if e.Error != "" {
			n++
		}
	}
	return n
}

// load loads one IMC in a client of its own.
func load(e dlimc.Entry, cfg dlimc.Config) Entry {
	out := Entry{Name: e.Name, Path: e.Path, File: e.File, Line: e.Line, Unsafe: dlimc.Unsafe(e.Path)}
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

// WriteTable writes the entries for people.
func WriteTable(w io.Writer, entries []Entry) {
	for _, e := range entries {
		name := fmt.Sprintf("IMC %q", e.Name)
		if e.Path == "" {
			name = "bad line"
		}
		terminal.Line(w, 2, "%s:%d  %s", e.File, e.Line, name)
		t := terminal.NewTable(w, 2)
		if e.Path != "" {
			t.Row("library", e.Path)
		}
		switch {
		case e.Error != "":
			t.Cells(terminal.Cell{Text: "FAILS   ", Colour: terminal.Bad}, terminal.Cell{Text: e.Error})
		default:
			if e.Unsafe != "" {
				t.Cells(terminal.Cell{Text: "UNSAFE", Colour: terminal.Doubtful}, terminal.Cell{Text: e.Unsafe})
			}
			// IF-IMC 1.0 to 1.3 share version 1.
			kind := "1.3, long message types"
			if !e.Long {
				kind = "1.2 or older, short message types only"
			}
			t.Row("IF-IMC", fmt.Sprintf("version %d (%s)", e.Version, kind))
			types := strings.Join(e.Types, ", ")
			if types == "" {
				types = "none: it only sends"
			}
			t.Row("receives", types)
		}
		t.Flush()
	}
}
