package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	controlTimeout = 10 * time.Second
	downTimeout    = 30 * time.Second
)

// serveControl answers on the control socket of a connection that stays.
func (c *Client) serveControl() error {
	f := c.runDir
	if f == nil {
		return nil
	}
	path := f.path(socketExt)
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return err
	}
	old := unix.Umask(0o077)
	short, done := socketPath(path)
	ln, err := net.Listen("unix", short)
	done()
	unix.Umask(old)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // close does, by the whole path
	f.ln = ln
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go c.answerControl(conn)
		}
	}()
	return nil
}

// maxSocketPath is the longest path that the address of a socket holds, in octets.
const maxSocketPath = 107

// socketPath returns a name of the socket at path that fits the address of a
// socket, and what to call when it is no longer used.
func socketPath(path string) (short string, done func()) {
	if len(path) > maxSocketPath {
		if dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0); err == nil {
			return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }
		}
	}
	return path, func() {}
}

// answerControl reads one word and answers with JSON.
func (c *Client) answerControl(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTimeout))
	line, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n')
	if err != nil {
		return
	}
	switch word := strings.TrimSpace(line); word {
	case "status":
		_ = json.NewEncoder(conn).Encode(c.Status())
	case "down":
		fmt.Fprintln(conn, "{}")
		c.stop(errDown)
	case "rekey", "rekey-children":
		if h := c.state.currentHandle(); h != nil {
			if word == "rekey" {
				h.Rekey()
			}
			h.RekeyChildren()
		}
		fmt.Fprintln(conn, "{}")
	case "attest":
		c.requestReauth("tnc attest asks for it")
		fmt.Fprintln(conn, "{}")
	}
}

// DeniedError is why the connection of another user cannot be spoken to.
type DeniedError struct{ Err error }

func (e *DeniedError) Error() string { return e.Err.Error() }
func (e *DeniedError) Unwrap() error { return e.Err }

// ask sends a word to a connection that is up.
func ask(ctx context.Context, path, word string) ([]byte, error) {
	d := net.Dialer{Timeout: controlTimeout}
	short, done := socketPath(path)
	defer done()
	conn, err := d.DialContext(ctx, "unix", short)
	if errors.Is(err, os.ErrPermission) {
		return nil, &DeniedError{err}
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTimeout))
	if _, err := fmt.Fprintln(conn, word); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(conn, maxRunFile))
}

func (d RunDir) sockets() []string {
	paths, _ := filepath.Glob(filepath.Join(string(d), "*"+socketExt)) // the pattern is well-formed
	return paths
}

// Statuses asks each connection that is up.
func (d RunDir) Statuses(ctx context.Context) ([]Status, error) {
	all := []Status{}
	for _, path := range d.sockets() {
		b, err := ask(ctx, path, "status")
		if denied := new(DeniedError); errors.As(err, &denied) {
			return nil, fmt.Errorf("ask the connection behind %s: %w", path, err)
		}
		var s Status
		if err != nil || json.Unmarshal(b, &s) != nil {
			continue // it was killed
		}
		all = append(all, s)
	}
	return all, nil
}

// ErrNotUp is the error of a connection that does not run.
var ErrNotUp = errors.New("is not up")

// Down ends a connection and returns when all that it made is removed. Of one that
// was killed it removes what it left, and reports that.
func (d RunDir) Down(ctx context.Context, name string) (killed bool, err error) {
	_, err = ask(ctx, d.file(name, socketExt), "down")
	if denied := new(DeniedError); err != nil && !errors.As(err, &denied) && !d.isUp(name) {
		return d.cleanUpKilled(name)
	}
	if err != nil {
		return false, fmt.Errorf("end connection %q: %w", name, err)
	}
	end := time.Now().Add(downTimeout)
	for d.isUp(name) {
		if time.Now().After(end) {
			return false, fmt.Errorf("connection %q did not end within %v", name, downTimeout)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false, nil
}

// cleanUpKilled removes what a connection left that is not up.
func (d RunDir) cleanUpKilled(name string) (killed bool, err error) {
	if _, err := os.Stat(d.file(name, recordExt)); err != nil {
		return false, fmt.Errorf("connection %q %w", name, ErrNotUp)
	}
	f, err := d.lock(name)
	if err != nil {
		return false, err
	}
	defer f.lock.Close()
	if _, err := f.cleanUp(nil); err != nil {
		return true, fmt.Errorf("connection %q is not up; remove what a killed run of it left: %w", name, err)
	}
	_ = os.Remove(f.path(socketExt))
	_ = os.Remove(f.path(nameExt))
	return true, nil
}
