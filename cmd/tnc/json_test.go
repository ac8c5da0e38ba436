package main

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/demo"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imccheck"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imclist"
	"github.com/gotnc/gotnc/cmd/tnc/internal/key"
	"github.com/gotnc/gotnc/cmd/tnc/internal/measure"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/running"
)

// jsonFields lists the names that a type has in JSON, those of inner objects too.
func jsonFields(t reflect.Type, to map[string]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return
	}
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			to[name] = true
		}
		jsonFields(f.Type, to)
	}
}

// docs/json.md, section by section, names every field that --json prints, and no
// other one.
func TestJSONIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/json.md")
	require.NoError(t, err)
	sections := strings.Split(string(b), "\n## ")[1:]
	for _, c := range []struct {
		section string
		types   []any
	}{
		{"tnc attest, up, demo", []any{report.Outcome{}, demo.Outcome{}}},
		{"tnc pt-tls", []any{report.PTTLSOutcome{}}},
		{"tnc status", []any{client.Status{}}},
		{"tnc reattest", []any{client.Event{}}},
		{"tnc down", []any{running.DownOutcome{}}},
		{"tnc version", []any{report.Version{}}},
		{"tnc measure", []any{measure.Outcome{}}},
		{"tnc config check, doctor", []any{report.Finding{}}},
		{"tnc imc list", []any{imclist.Entry{}}},
		{"tnc imc check", []any{imccheck.Report{}}},
		{"tnc aik create, show", []any{aik.Created{}, aik.Shown{}}},
		{"tnc aik issue, activate, enroll", []any{aik.Certified{}}},
		{"tnc aik import", []any{aik.Imported{}}},
		{"tnc key create, show, csr, certify", []any{key.Shown{}, key.Written{}}},
		{"tnc config show", []any{profile.Shown{}}},
	} {
		var text string
		for _, s := range sections {
			if strings.HasPrefix(s, c.section+":") {
				text = s
			}
		}
		require.NotEmpty(t, text, c.section)
		if strings.Contains(text, "as above") {
			text += sections[0]
		}
		fields := map[string]bool{}
		for _, v := range c.types {
			jsonFields(reflect.TypeOf(v), fields)
		}
		require.NotEmpty(t, fields)
		for f := range fields {
			require.Contains(t, text, "`"+f+"`", "%s prints it", c.section)
		}
	}
	all := map[string]bool{}
	for _, v := range []any{report.Outcome{}, demo.Outcome{}, report.Finding{}, report.PTTLSOutcome{}, client.Status{}, client.Event{}, running.DownOutcome{}, report.Version{}, measure.Outcome{}, imclist.Entry{}, imccheck.Report{}, aik.Created{}, aik.Shown{}, aik.Imported{}, aik.Certified{}, key.Shown{}, key.Written{}, profile.Shown{}} {
		jsonFields(reflect.TypeOf(v), all)
	}
	for _, s := range sections {
		if strings.HasPrefix(s, "error_code\n") { // values, compared in report
			continue
		}
		for _, row := range strings.Split(s, "\n") {
			cells := strings.Split(row, "|")
			if len(cells) < 3 {
				continue
			}
			for i, word := range strings.Split(cells[1], "`") {
				require.True(t, i%2 == 0 || all[word], "no command prints %q", word)
			}
		}
	}
}

// everyCommand calls f with each command that does something, the last words of its path
// first.
func everyCommand(f func(path []string, cmd *cobra.Command)) {
	var walk func(path []string, cmd *cobra.Command)
	walk = func(path []string, cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			walk(append(slices.Clone(path), c.Name()), c)
		}
		if !cmd.HasSubCommands() {
			f(path, cmd)
		}
	}
	walk(nil, newRoot())
}

// Every command has --json, and prints an object with it where it fails before it did
// anything: for its flags, its arguments, its files.
func TestJSONOfEarlyFailures(t *testing.T) {
	failed := func(code string, exit int, args ...string) {
		t.Helper()
		out, stderr, got := runTNC(t, args...)
		require.Equal(t, exit, got, "%q %s%s", args, out, stderr)
		var o struct {
			Schema   int    `json:"schema"`
			Error    string `json:"error"`
			Code     string `json:"error_code"`
			ExitCode int    `json:"exit_code"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &o), "%q %s%s", args, out, stderr)
		require.Equal(t, report.Schema, o.Schema)
		require.Equal(t, code, o.Code, "%q %s", args, o.Error)
		require.Equal(t, exit, o.ExitCode)
		require.Contains(t, stderr, o.Error)
		require.NotEmpty(t, o.Error)
	}
	commands := 0
	everyCommand(func(path []string, cmd *cobra.Command) {
		if path[0] == "help" || path[0] == "completion" { // whose output is no data
			return
		}
		commands++
		require.NotNil(t, cmd.Flags().Lookup("json"), "%q", path)
		failed("usage", report.ExitUsage, append(slices.Clone(path), "--json", "--no-such-flag")...)
		failed("usage", report.ExitUsage, append(slices.Clone(path), "a", "b", "--json")...)
	})
	require.Greater(t, commands, 15)
	none := t.TempDir() + "/none"
	for _, args := range [][]string{
		{"attest", "home", "--swanctl", none}, {"up", "home", "--swanctl", none}, {"config", "show", "--swanctl", none},
		{"pt-tls", "localhost", "--ca", none, "--strongswan-conf", none}, {"imc", "list", "--strongswan-conf", none}, {"measure", "--strongswan-conf", none},
	} {
		failed("configuration", report.ExitFailure, append(args, "--json")...)
	}
	failed("not_up", report.ExitFailure, "down", "nosuch", "--json")
	failed("not_up", report.ExitFailure, "reattest", "nosuch", "--json")
	failed("no_history", report.ExitFailure, "history", "nosuch", "--json")
	failed("usage", report.ExitUsage, "attack", "--json")
	failed("usage", report.ExitUsage, "config", "--json")
}
