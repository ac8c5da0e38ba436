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
	statusTimeout  = 2 * time.Second
)

// serveControl answers on the sockets of a connection that stays: who may read and write
// the one in this process's name controls it, and everyone may ask the other one for its
// state.
func (c *Client) serveControl() (err error) {
	f := c.runDir
	if f == nil {
		return nil
	}
	if f.control, err = f.serve(socketExt, 0o600, c.answerControl); err != nil {
		return err
	}
	f.status, err = f.serve(statusExt, 0o666, c.answerStatus)
	return err
}

// maxAsking is how many conversations a socket has at a time; more wait.
const maxAsking = 16

// serve listens on a socket of that mode, and lets answer have each conversation, which it
// closes.
func (f *runFiles) serve(ext string, mode os.FileMode, answer func(net.Conn)) (net.Listener, error) {
	path := f.path(ext)
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return nil, err
	}
	old := unix.Umask(0o077)
	short, done := socketPath(path)
	ln, err := net.Listen("unix", short)
	done()
	unix.Umask(old)
	if err == nil {
		ln.(*net.UnixListener).SetUnlinkOnClose(false) // close does, by the whole path
		err = os.Chmod(path, mode)
	}
	if err != nil {
		return nil, fmt.Errorf("open the socket %s: %w", path, err)
	}
	room := make(chan struct{}, maxAsking)
	go func() {
		for {
			room <- struct{}{}
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				answer(conn)
				<-room
			}()
		}
	}()
	return ln, nil
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

// answerStatus answers anybody with the state, which holds no secrets, and does nothing
// else.
func (c *Client) answerStatus(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(statusTimeout))
	_ = json.NewEncoder(conn).Encode(c.Status())
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
	case "reattest":
		c.answerReattest(conn)
	}
}

// answerReattest attests again and answers with what came of it.
func (c *Client) answerReattest(conn net.Conn) {
	_ = conn.SetDeadline(time.Time{})
	if s := c.Status(); s.State != Up {
		_ = json.NewEncoder(conn).Encode(Event{Connection: s.Connection, Decision: s.Decision, Failure: Failure{Error: "it is " + s.State}})
		return
	}
	events, remove := c.watchers.add()
	defer remove()
	c.requestReauth("tnc reattest asks for it")
	left := make(chan struct{})
	go func() { // until the asker goes
		_, _ = conn.Read(make([]byte, 1))
		close(left)
	}()
	select {
	case e := <-events:
		_ = json.NewEncoder(conn).Encode(e)
	case <-left:
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
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if word != "reattest" { // which takes as long as it takes
		_ = conn.SetDeadline(time.Now().Add(controlTimeout))
	}
	if word != "" {
		if _, err := fmt.Fprintln(conn, word); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(conn, maxRunFile))
}

// Reattest attests a connection that is up again, over a new IKE_SA that takes over, and
// returns what came of it.
func (d RunDir) Reattest(ctx context.Context, name string) (e Event, err error) {
	b, err := ask(ctx, d.file(name, socketExt), "reattest")
	switch denied := new(DeniedError); {
	case ctx.Err() != nil:
		return e, context.Cause(ctx)
	case errors.As(err, &denied):
		return e, fmt.Errorf("attest connection %q again: %w", name, err)
	case err != nil:
		return e, fmt.Errorf("connection %q %w", name, ErrNotUp)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("connection %q ended meanwhile", name)
	}
	if e.Kind == "" {
		return e, fmt.Errorf("connection %q %w: %s", name, ErrNotUp, e.Error)
	}
	return e, nil
}

func (d RunDir) sockets() []string {
	paths, _ := filepath.Glob(filepath.Join(string(d), "*"+socketExt)) // the pattern is well-formed
	return paths
}

// Statuses asks each connection that is up. Everyone may.
func (d RunDir) Statuses(ctx context.Context) ([]Status, error) {
	all := []Status{}
	for _, path := range d.sockets() {
		b, err := ask(ctx, path, "status")
		if denied := new(DeniedError); errors.As(err, &denied) {
			b, err = ask(ctx, strings.TrimSuffix(path, socketExt)+statusExt, "")
		}
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
	for _, ext := range []string{socketExt, statusExt, nameExt} {
		_ = os.Remove(f.path(ext))
	}
	return true, nil
}
