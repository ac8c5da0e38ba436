package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// typing runs a command on a terminal and types an answer where it asks.
func typing(t *testing.T, ctx context.Context, question, answer string, args ...string) (shown string, code int, echo bool) {
	t.Helper()
	user, program := newTerminal(t)
	read := make(chan string)
	go func() {
		var all strings.Builder
		b := make([]byte, 4096)
		for asked := false; ; {
			n, err := user.Read(b)
			all.Write(b[:n])
			if !asked && strings.Contains(all.String(), question) {
				asked = true
				time.Sleep(50 * time.Millisecond) // what is typed before the terminal is quiet is shown
				_, _ = io.WriteString(user, answer)
			}
			if err != nil {
				read <- strings.ReplaceAll(all.String(), "\r\n", "\n")
				return
			}
		}
	}()
	code = run(ctx, args, program, program)
	state, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	_, _ = io.WriteString(user, "\n") // for who still reads, in a command that was interrupted
	require.NoError(t, program.Close())
	return <-read, code, state.Lflag&unix.ECHO != 0
}

// A password that no file holds is asked for on the terminal, and not shown.
func TestPasswordOnTheTerminal(t *testing.T) {
	s := newSite(t, nil)
	s.replace("swanctl.conf", "id = "+testUser+"\n    secret", "id = dave@gotnc.test\n    secret")
	args := append([]string{"attest", "home"}, s.args...)
	const question = "Password of " + testUser + " for home: "

	shown, code, echo := typing(t, t.Context(), question, testPassword+"\n", args...)
	require.Equal(t, report.ExitAllowed, code, shown)
	require.Contains(t, shown, question)
	require.NotContains(t, shown, testPassword)
	require.True(t, echo)

	shown, code, _ = typing(t, t.Context(), question, "wrong\n", args...)
	require.Equal(t, report.ExitFailure, code, shown)
	require.Contains(t, shown, "password")

	shown, code, _ = typing(t, t.Context(), question, "\n", args...)
	require.Equal(t, report.ExitFailure, code, shown)
	require.Contains(t, shown, "has none for", "left empty it stays missing")

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	shown, code, echo = typing(t, ctx, question, "", args...)
	require.NotEqual(t, report.ExitAllowed, code, shown)
	require.True(t, echo, "the terminal shows what is typed again")

	shown, code, _ = typing(t, t.Context(), question, "", append(args, "--json")...)
	require.Equal(t, report.ExitFailure, code, shown)
	require.NotContains(t, shown, question)
}
