// Package service tells systemd of a connection: the state of its service (sd_notify(3))
// and an entry of the journal for each event (systemd.journal-fields(7)). Where there is no
// systemd it does nothing.
package service

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifySocket is the environment variable with the socket of the service manager.
const notifySocket = "NOTIFY_SOCKET"

// Notifier tells the service manager. The zero value tells nobody.
type Notifier struct {
	socket   string
	watchdog time.Duration // interval within which it wants to hear; 0 = none
}

// NewNotifier returns the Notifier of this process, and takes its variables out of the
// environment: they are not for processes that it starts.
func NewNotifier() *Notifier {
	n := &Notifier{socket: os.Getenv(notifySocket)}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			n.watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	for _, v := range []string{notifySocket, "WATCHDOG_PID", "WATCHDOG_USEC"} {
		_ = os.Unsetenv(v)
	}
	return n
}

// Tell sends assignments as READY=1; one with a newline in it is left out.
func (n *Notifier) Tell(assignments ...string) error {
	if n.socket == "" {
		return nil
	}
	var lines []string
	for _, a := range assignments {
		if !strings.Contains(a, "\n") {
			lines = append(lines, a)
		}
	}
	name := n.socket
	if strings.HasPrefix(name, "@") { // abstract
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(strings.Join(lines, "\n")))
	return err
}

// Watch tells the watchdog that the service lives, twice in its interval, until ctx is
// done. alive has to return for that: what hangs is not alive.
func (n *Notifier) Watch(ctx context.Context, alive func()) {
	if n.socket == "" || n.watchdog == 0 {
		return
	}
	t := time.NewTicker(n.watchdog / 2)
	defer t.Stop()
	for {
		alive()
		_ = n.Tell("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
