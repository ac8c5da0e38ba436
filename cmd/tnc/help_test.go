package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// The help of all commands fits 80 columns and has one language.
func TestHelp(t *testing.T) {
	usages := map[string]string{} // of flags that several commands have
	check := func(path []string, cmd *cobra.Command) {
		out, stderr, code := runTNC(t, append(slices.Clone(path), "--help")...)
		require.Zero(t, code, stderr)
		for l := range strings.Lines(out) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(l, "\n")), 80, "%q: %s", path, l)
		}
		require.Equal(t, 1, strings.Count(out, "Exit codes:"), "%q", path)
		require.Contains(t, out, "  2  the command line is wrong", "%q", path)
		require.NotContains(t, out, "repeatable")
		require.NotContains(t, out, "autocompletion")
		require.True(t, unicode.IsUpper(rune(cmd.Short[0])) && !strings.HasSuffix(cmd.Short, "."), "%q: %s", path, cmd.Short)
		if !cmd.HasSubCommands() && path[0] != "completion" {
			require.NotEmpty(t, cmd.Example, "%q", path)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			require.NotEmpty(t, f.Usage)
			require.False(t, unicode.IsUpper(rune(f.Usage[0])) && unicode.IsLower(rune(f.Usage[1])) || strings.HasSuffix(f.Usage, "."), "%q --%s: %s", path, f.Name, f.Usage)
			if f.Value.Type() == "stringArray" {
				require.Contains(t, f.Usage, "may be repeated", "%q --%s", path, f.Name)
			}
			switch f.Name {
			case "json", "verbose", "timeout", "help", "strongswan-conf", "tnc-config", "swanctl":
				if u, ok := usages[f.Name]; ok {
					require.Equal(t, u, f.Usage, "%q --%s", path, f.Name)
				}
				usages[f.Name] = f.Usage
			}
		})
	}
	n := 0
	everyCommand(func(path []string, cmd *cobra.Command) {
		check(path, cmd)
		n++
	})
	for _, group := range newRoot().Commands() {
		if group.HasSubCommands() {
			check([]string{group.Name()}, group)
		}
	}
	require.Greater(t, n, 20)
	out, _, _ := runTNC(t)
	for l := range strings.Lines(out) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(l, "\n")), 80, l)
	}
}

// What is mistyped is answered with what may be meant.
func TestDidYouMean(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"statsu"}, `"statsu" is not a command of tnc; is "status" meant?`},
		{[]string{"config", "chek"}, `is "check" meant?`},
		{[]string{"imc", "lits"}, `is "list" meant?`},
		{[]string{"help", "attets"}, `is "attest" meant?`},
		{[]string{"completion", "bahs"}, `is "bash" meant?`},
		{[]string{"attest", "home", "--jsno"}, `unknown flag: --jsno; is "--json" meant?`},
		{[]string{"up", "home", "--data-plane", "tun"}, `is "--dataplane" meant?`},
		{[]string{"pt-tls", "x", "--timout", "1s"}, `is "--timeout" meant?`},
	} {
		_, stderr, code := runTNC(t, c.args...)
		require.Equal(t, report.ExitUsage, code)
		require.Contains(t, stderr, c.says)
	}
	_, stderr, _ := runTNC(t, "frobnicate")
	require.NotContains(t, stderr, "meant?")
	var b bytes.Buffer
	require.NoError(t, newRoot().GenBashCompletionV2(&b, true))
	require.NotEmpty(t, b.String())
}
