package dlimc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/confine"
	"github.com/gotnc/gotnc/internal/base/imclink"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// endGrace limits the time until a child has ended and its last lines have
// arrived, once its socket is closed or it was killed.
const endGrace = 2 * time.Second

// remote is an IMC in a child process. It implements tnccs.IMC and tnccs.Library.
type remote struct {
	entry Entry
	cfg   Config
	log   *slog.Logger
	plan  *confine.Plan // nil: it is not confined
	cmd   *exec.Cmd
	conn  net.Conn
	link  *imclink.Link
	lines *lines

	exited chan struct{} // closed when the child has been reaped
	ended  chan struct{} // closed when the link is down and all is cleaned up

	mu       sync.Mutex
	host     tnccs.TNCC
	offers   tnccs.Interface
	cause    error // why the child is being killed
	reaped   bool
	ending   bool // Terminate was called
	closing  bool // Terminate closed the link
	initDone bool
}

// run serves the link until it ends, waits for the child, and sets the error of
// later calls.
func (c *remote) run() {
	defer close(c.ended)
	err := c.link.Run()
	c.conn.Close()
	// The child ends when its socket is closed; one that does not is killed.
	select {
	case <-c.exited:
	case <-time.After(endGrace):
		c.kill(nil)
		<-c.exited
	}
	c.lines.finish(endGrace)
	c.link.Fail(c.reason(err))
}

// reap waits for the child, and kills the processes that the IMC started. They
// are killed before the child is reaped, while its number is still that of its
// process group.
func (c *remote) reap() {
	pid := c.cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	c.mu.Lock()
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	c.plan.KillUser() // what left the group
	_ = c.cmd.Wait()  // ProcessState has the outcome
	c.reaped = true
	c.mu.Unlock()
	close(c.exited)
	// A process outside of the group may hold the socket open. The octets that the
	// child wrote are read before the deadline.
	_ = c.conn.SetReadDeadline(time.Now().Add(endGrace / 4))
}

// reason returns the error of a link that ended with err.
func (c *remote) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil:
		return c.cause
	case c.closing:
		return ErrGone
	case errors.Is(err, imclink.ErrFrame):
		return fmt.Errorf("%w: its process spoke out of turn", ErrCrashed)
	}
	return c.memoryError(fmt.Errorf("%w: its process ended (%s)", ErrCrashed, describe(c.cmd.ProcessState)))
}

// memoryError returns err, as a *MemoryError where the process had used more than
// half of what it may: a part of the limit goes to what it did not ask for.
func (c *remote) memoryError(err error) error {
	limit := c.plan.Memory()
	if limit == 0 || c.cmd.ProcessState == nil {
		return err
	}
	u, ok := c.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok || u == nil || uint64(u.Maxrss)<<10 <= limit/2 {
		return err
	}
	return &MemoryError{Err: err, Used: uint64(u.Maxrss) << 10, Limit: limit}
}

// describe returns how a process ended.
func describe(ps *os.ProcessState) string {
	if ps == nil { // the program around libtnccs has waited for the child itself
		return "how is not known"
	}
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Sprintf("signal %s", unix.SignalName(ws.Signal()))
	}
	return ps.String()
}

// kill kills the child. The first cause is kept.
func (c *remote) kill(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	if !c.reaped { // else the number may be that of another process
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	}
	c.mu.Unlock()
	c.conn.Close()
}

// ask calls the child, and kills it if it does not answer within timeout.
func (c *remote) ask(o op, payload []byte, timeout time.Duration) (answer, error) {
	defer c.limitAfterInterrupt(o)()
	a, err := c.link.Ask(o, payload, timeout)
	switch {
	case errors.Is(err, imclink.ErrTimeout):
		c.kill(fmt.Errorf("%w: no return from %s within %v; its process was killed", ErrHung, opName(o), timeout))
		<-c.ended
		return answer{}, c.link.Cause()
	case err != nil:
		return answer{}, err
	}
	r := wire.NewReader("answer", a.Data)
	c.lines.await(r.U32())
	a.Data = r.Rest()
	return a, nil
}

// limitAfterInterrupt kills the child if a call lasts longer than
// TerminateTimeout after Config.Context was done. The function that it returns
// is called when the call has returned.
func (c *remote) limitAfterInterrupt(o op) (returned func()) {
	if c.cfg.Context == nil {
		return func() {}
	}
	answered := make(chan struct{})
	stop := context.AfterFunc(c.cfg.Context, func() {
		t := time.NewTimer(c.cfg.TerminateTimeout)
		defer t.Stop()
		select {
		case <-answered:
		case <-t.C:
			c.kill(fmt.Errorf("%w: no return from %s within %v of the interruption; its process was killed", ErrHung, opName(o), c.cfg.TerminateTimeout))
		}
	})
	return func() {
		stop()
		close(answered)
	}
}

// call is ask for operations whose answer is a result only.
func (c *remote) call(o op, payload []byte) error {
	a, err := c.ask(o, payload, c.cfg.CallTimeout)
	if err != nil {
		return err
	}
	return tnccs.ErrorOf(tnccs.Result(a.Result))
}
