package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// serve answers on the control socket.
func (g *guard) serve(c *connection) error {
	path := runFile(g.name, ".sock")
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return err
	}
	old := unix.Umask(0o077)
	ln, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	g.ln = ln
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answerControl(c, conn)
		}
	}()
	return nil
}

func answerControl(c *connection, conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTimeout))
	line, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n')
	if err != nil {
		return
	}
	switch word := strings.TrimSpace(line); word {
	case "status":
		_ = json.NewEncoder(conn).Encode(c.status())
	case "down":
		fmt.Fprintln(conn, "{}")
		c.end(errDown)
	case "rekey", "rekey-children":
		c.life.mu.Lock()
		if r := c.life.current; r != nil && r.handle != nil {
			if word == "rekey" {
				r.handle.Rekey()
			}
			r.handle.RekeyChildren()
		}
		c.life.mu.Unlock()
		fmt.Fprintln(conn, "{}")
	case "attest":
		select {
		case c.life.reauth <- "tnc attest asks for it":
		default:
		}
		fmt.Fprintln(conn, "{}")
	}
}

// ask sends a word to a connection that is up.
func ask(ctx context.Context, path, word string) ([]byte, error) {
	d := net.Dialer{Timeout: controlTimeout}
	conn, err := d.DialContext(ctx, "unix", path)
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

// isUp reports whether somebody holds the lock of a connection.
func isUp(name string) bool {
	f, err := os.Open(runFile(name, ".lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}
