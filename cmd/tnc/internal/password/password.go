// Package password asks a person for a password that no file holds: on the
// terminal, or by the agents of systemd where a unit runs.
package password

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/gotnc/gotnc/internal/base/text"
)

// Ask asks for what prompt says and returns what was typed, without the end of the
// line; nothing where it was left empty. It is to be zeroed.
type Ask func(ctx context.Context, prompt string) ([]byte, error)

// agentTimeout is how long an agent of systemd has for the answer.
const agentTimeout = 90 * time.Second

// maxPassword bounds the answer of an agent in octets.
const maxPassword = 4096

// Find returns who can be asked: the terminal that screen is, if this process is in
// the foreground there, else the agents of systemd where it runs this process as
// part of a unit. nil is nobody.
func Find(screen io.Writer) Ask {
	if f, ok := screen.(*os.File); ok && f != nil && term.IsTerminal(int(f.Fd())) {
		if group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP); err == nil && group != unix.Getpgrp() {
			return nil // to read would stop it
		}
		return func(ctx context.Context, prompt string) ([]byte, error) { return onTerminal(ctx, f, prompt) }
	}
	program, err := exec.LookPath("systemd-ask-password")
	if os.Getenv("INVOCATION_ID") == "" || err != nil {
		return nil
	}
	return func(ctx context.Context, prompt string) ([]byte, error) { return byAgent(ctx, program, prompt) }
}

// onTerminal reads a line that is not shown. It ends with ctx.
func onTerminal(ctx context.Context, f *os.File, prompt string) ([]byte, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("ask on the terminal: %w", err)
	}
	fmt.Fprintf(f, "%s: ", text.Printable(prompt))
	defer fmt.Fprintln(f)
	type answer struct {
		line []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		typed <- answer{line, err}
	}()
	select {
	case a := <-typed:
		if a.err != nil && a.err != io.EOF {
			return nil, fmt.Errorf("ask on the terminal: %w", a.err)
		}
		return a.line, nil
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return nil, context.Cause(ctx)
	}
}

// byAgent has systemd ask: on the console, on the desktop, or who runs
// systemd-tty-ask-password-agent.
func byAgent(ctx context.Context, program, prompt string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, "--no-tty", "--id=tnc", "--icon=network-vpn", fmt.Sprintf("--timeout=%d", int(agentTimeout.Seconds())), text.Printable(prompt))
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("ask by systemd-ask-password: %w", err)
	}
	line, _ := io.ReadAll(io.LimitReader(out, maxPassword+1))
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		clear(line)
		return nil, fmt.Errorf("ask by systemd-ask-password: %w: %s", err, text.Printable(text.Clip(said.String(), 200)))
	case len(line) > maxPassword:
		clear(line)
		return nil, fmt.Errorf("ask by systemd-ask-password: the answer has more than %d octets", maxPassword)
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}
