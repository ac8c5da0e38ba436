package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

// What a shell offers: connections, data planes, commands; never files where a
// connection is wanted.
func TestCompletion(t *testing.T) {
	s := newSite(t, nil)
	t.Setenv(client.RunDirVariable, t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{append(append([]string{"attest"}, s.args...), ""), "home\n:4\n"},
		{append(append([]string{"up"}, s.args...), "home", ""), ":4\n"},
		{[]string{"attest", "--swanctl", "/nonexistent", ""}, ":4\n"},
		{[]string{"up", "--dataplane", ""}, "auto\nxfrm\ntun\nnone\n:4\n"},
		{[]string{"status", ""}, ":4\n"},
		{[]string{"config", "c"}, "check\tSay what is wrong in the configuration, with file and line\n:4\n"},
	} {
		out, _, code := runTNC(t, append([]string{"__complete"}, c.args...)...)
		require.Zero(t, code)
		require.Equal(t, c.want, out, "%q", c.args)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, _, code := runTNC(t, "completion", shell)
		require.Zero(t, code)
		require.True(t, strings.Contains(out, "__complete"), shell)
	}
}
