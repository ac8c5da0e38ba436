package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

// newTerminal returns both ends of a terminal of 80 columns.
func newTerminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { program.Close() })
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: 80}))
	return user, program
}

// onTerminal runs a command on a terminal and returns what it shows, colours included.
func onTerminal(t *testing.T, args ...string) (shown string, code int) {
	t.Helper()
	user, program := newTerminal(t)
	read := make(chan string)
	go func() {
		b, err := io.ReadAll(user)
		if err != nil && !errors.Is(err, syscall.EIO) { // EIO: the program's end was closed
			b = append(b, err.Error()...)
		}
		read <- string(b)
	}()
	code = run(context.Background(), args, program, program)
	require.NoError(t, program.Close())
	shown = strings.ReplaceAll(<-read, "\r\n", "\n")
	return progressLine.ReplaceAllString(shown, ""), code
}

// progressLine is what shows what goes on, and disappears.
var progressLine = regexp.MustCompile(`\r\x1b\[K( +[0-9]+s [^\r\n]*)?`)

// fits asserts that no line is wider than the terminal.
func fits(t *testing.T, shown string) {
	t.Helper()
	for _, colour := range []string{"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"} {
		shown = strings.ReplaceAll(shown, colour, "")
	}
	require.NotContains(t, shown, "\x1b")
	for l := range strings.Lines(shown) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(l, "\n")), 80, l)
	}
}

// On a terminal of 80 columns nothing is cut by it, and decisions have a colour.
func TestTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	const red, yellow, green = "\x1b[31m", "\x1b[33m", "\x1b[32m"
	s := newSite(t, func(c *gateway.Config, _ *testpki.CA) {
		c.Policy.Force, c.Policy.Reason = imv.Isolate, strings.Repeat("the firewall of this machine is off ", 8)
	})
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"demo", "--library", library}, report.ExitAllowed, []string{green + "access allowed", green + "match"}},
		{[]string{"demo", "--fail", "--library", library}, report.ExitIsolated, []string{yellow + "isolated", red + "mismatch"}},
		{append([]string{"attest", "home", "--explain"}, s.args...), report.ExitIsolated, []string{yellow + "isolated"}},
		{append([]string{"config", "check"}, s.args...), report.ExitAllowed, []string{green + "ok"}},
		{append([]string{"config", "show"}, s.args...), report.ExitAllowed, nil},
		{append([]string{"doctor"}, s.args...), -1, nil},
		{[]string{"measure", "--tcti", "none", "--ima-log", "../../imc/evidence/testdata/none"}, report.ExitFailure, nil},
		{[]string{"imc", "list", "--tnc-config", s.path("tnc_config")}, report.ExitAllowed, []string{"IF-IMC"}},
		{[]string{"attest", "nosuch", "--swanctl", s.path("swanctl.conf"), "--strongswan-conf", s.path("strongswan.conf")}, report.ExitFailure, nil},
		{[]string{"status"}, report.ExitAllowed, nil},
	} {
		shown, code := onTerminal(t, c.args...)
		if c.code >= 0 {
			require.Equal(t, c.code, code, "%q: %s", c.args, shown)
		}
		fits(t, shown)
		for _, says := range c.says {
			require.Contains(t, shown, says, "%q", c.args)
		}
	}
	t.Setenv("NO_COLOR", "1")
	shown, _ := onTerminal(t, "demo", "--library", library)
	require.NotContains(t, shown, "\x1b")
}
