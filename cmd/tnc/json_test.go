package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/demo"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imccheck"
	"github.com/gotnc/gotnc/cmd/tnc/internal/imclist"
	"github.com/gotnc/gotnc/cmd/tnc/internal/measure"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
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
		{"tnc measure", []any{measure.Outcome{}}},
		{"tnc config check, doctor", []any{report.Finding{}}},
		{"tnc imc list", []any{imclist.Entry{}}},
		{"tnc imc check", []any{imccheck.Report{}}},
		{"tnc aik create, show", []any{aik.Created{}, aik.Shown{}}},
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
	for _, v := range []any{report.Outcome{}, demo.Outcome{}, report.Finding{}, report.PTTLSOutcome{}, client.Status{}, measure.Outcome{}, imclist.Entry{}, imccheck.Report{}, aik.Created{}, aik.Shown{}, profile.Shown{}} {
		jsonFields(reflect.TypeOf(v), all)
	}
	for _, s := range sections {
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
