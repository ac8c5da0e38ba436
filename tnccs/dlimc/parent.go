package dlimc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// endGrace is how long a child may take to die, and its last lines to arrive,
// once its socket is closed or it was killed.
const endGrace = 2 * time.Second

// remote is an IMC in a child process. It implements tnccs.IMC.
type remote struct {
	entry Entry
	o     Options
	log   *slog.Logger
	cmd   *exec.Cmd
	conn  net.Conn
	link  *link
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

// startChild starts the child of an IMC and lets it open the library.
func startChild(e Entry, o Options) (*remote, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, loadError(e, ErrChild, "socketpair: "+err.Error())
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "imc"), os.NewFile(uintptr(fds[1]), "parent")
	defer theirs.Close() // on the ways out before the child has it
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, loadError(e, ErrChild, "socketpair: "+err.Error())
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, loadError(e, ErrChild, "pipe: "+err.Error())
	}
	defer pw.Close() // the same

	env := o.Env
	if env == nil {
		env = os.Environ()
	}
	// The running image itself, even where an update has replaced its file.
	program, name := "/proc/self/exe", o.Helper
	if name == "" {
		name = os.Args[0]
	} else {
		program = name
	}
	cmd := exec.Command(program, ChildArg, e.Name)
	cmd.Args[0] = name
	cmd.Env = append(append([]string(nil), env...), childEnv+"="+protocol, BesideEnv+"="+paths(o.Beside))
	cmd.Stdout, cmd.Stderr = pw, pw
	cmd.ExtraFiles = []*os.File{theirs}
	if usesLibimcv(e.Path) {
		conf, err := memoryFile("strongswan.conf", strongswanConf(e.Path, env, o.Logger))
		if err != nil {
			conn.Close()
			pr.Close()
			return nil, loadError(e, ErrChild, err.Error())
		}
		defer conf.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, conf)
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=/proc/self/fd/%d", confEnv, childFD+1))
	}
	// A process group of its own: what the IMC starts dies with it, and Ctrl-C
	// ends this program in order, not its IMCs before it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		pr.Close()
		return nil, loadError(e, ErrChild, err.Error())
	}
	// From here on only the child holds them: they end with it.
	theirs.Close()
	pw.Close()
	c := &remote{
		entry:  e,
		o:      o,
		log:    imcLogger(o.Logger),
		cmd:    cmd,
		conn:   conn,
		lines:  newLines(pr, o.Logger),
		exited: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	c.link = newLink(conn, false, c.serve)
	go c.reap()
	go c.lines.run()
	go c.run()

	a, err := c.ask(opLoad, []byte(e.Path), o.InitTimeout)
	if err == nil && a.result != tnccs.ResultSuccess {
		err = c.loadError(a)
	} else if err != nil {
		detail := ""
		if o.Helper != "" {
			detail = "is " + o.Helper + " the tnc of this release?"
		}
		err = loadError(e, err, detail)
	}
	if err != nil {
		_ = c.Terminate() // the reason stands in err
		return nil, err
	}
	return c, nil
}

func paths(entries []Entry) string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Path
	}
	return strings.Join(list, ":")
}

// run serves the link until it ends, then reaps the child and says why.
func (c *remote) run() {
	defer close(c.ended)
	err := c.link.run()
	c.conn.Close()
	// The child ends itself when its socket does; an IMC in a bad way is helped.
	select {
	case <-c.exited:
	case <-time.After(endGrace):
		c.kill(nil)
		<-c.exited
	}
	c.lines.finish(endGrace)
	c.link.fail(c.reason(err))
}

// reap waits for the child, and ends what the IMC has started and left behind.
// That comes before the child is reaped, while its number still is its group's.
func (c *remote) reap() {
	pid := c.cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	c.mu.Lock()
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	_ = c.cmd.Wait() // ProcessState has the outcome
	c.reaped = true
	c.mu.Unlock()
	close(c.exited)
	// A process outside of the group may hold the socket open. What the child wrote
	// is read before the deadline.
	_ = c.conn.SetReadDeadline(time.Now().Add(endGrace / 4))
}

// reason words why the link is down.
func (c *remote) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil:
		return c.cause
	case c.closing:
		return ErrGone
	case errors.Is(err, errFrame):
		return fmt.Errorf("%w: its process spoke out of turn", ErrCrashed)
	}
	return fmt.Errorf("%w: its process ended (%s)", ErrCrashed, describe(c.cmd.ProcessState))
}

// describe says how a process ended.
func describe(ps *os.ProcessState) string {
	if ps == nil { // the program that uses libtnccs waited for a child not its own
		return "how is not known"
	}
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Sprintf("signal %s", unix.SignalName(ws.Signal()))
	}
	return ps.String()
}

// kill ends the child's process group. The first cause stands.
func (c *remote) kill(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	if !c.reaped { // else the number may be another's by now
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	}
	c.mu.Unlock()
	c.conn.Close()
}

// ask asks the child; where it does not answer in time it is killed.
func (c *remote) ask(o op, payload []byte, timeout time.Duration) (answer, error) {
	defer c.hurry(o)()
	a, err := c.link.ask(o, payload, timeout)
	switch {
	case errors.Is(err, errTimeout):
		c.kill(fmt.Errorf("%w: no return from %s within %v; its process was killed", ErrHung, o, timeout))
		<-c.ended
		return answer{}, c.link.cause()
	case err != nil:
		return answer{}, err
	}
	r := wire.NewReader("answer", a.data)
	c.lines.await(r.U32())
	a.data = r.Rest()
	return a, nil
}

// hurry kills the child where a call goes on for long after the program was
// interrupted. The call has returned when the function that it returns is called.
func (c *remote) hurry(o op) (returned func()) {
	if c.o.Context == nil {
		return func() {}
	}
	back := make(chan struct{})
	stop := context.AfterFunc(c.o.Context, func() {
		t := time.NewTimer(c.o.TerminateTimeout)
		defer t.Stop()
		select {
		case <-back:
		case <-t.C:
			c.kill(fmt.Errorf("%w: no return from %s within %v of the interruption; its process was killed", ErrHung, o, c.o.TerminateTimeout))
		}
	})
	return func() {
		stop()
		close(back)
	}
}

// call is ask for what answers with a result only.
func (c *remote) call(o op, payload []byte) error {
	a, err := c.ask(o, payload, c.o.CallTimeout)
	if err != nil {
		return err
	}
	return tnccs.ErrorOf(a.result)
}

// loadError reads the error of opLoad and opInitialize.
func (c *remote) loadError(a answer) error {
	cause := ErrNotLoadable
	if len(a.data) == 0 {
		return loadError(c.entry, cause, a.result.Error())
	}
	if i := int(a.data[0]); i < len(causes) {
		cause = causes[i]
	}
	return loadError(c.entry, cause, text.Printable(string(a.data[1:])))
}

// Initialize implements tnccs.IMC.
func (c *remote) Initialize(id uint32, host tnccs.TNCC) error {
	c.mu.Lock()
	c.host = host
	c.mu.Unlock()
	a, err := c.ask(opInitialize, u32s(id), c.o.InitTimeout)
	if err != nil {
		return loadError(c.entry, err, "")
	}
	if a.result != tnccs.ResultSuccess {
		return c.loadError(a)
	}
	r := wire.NewReader("answer", a.data)
	c.mu.Lock()
	c.initDone = true
	c.offers = tnccs.Interface{Version: r.U32(), Long: r.U8() != 0}
	c.mu.Unlock()
	return nil
}

// NotifyConnectionChange implements tnccs.IMC.
func (c *remote) NotifyConnectionChange(connection uint32, state tnccs.ConnectionState) error {
	return c.call(opNotify, u32s(connection, uint32(state)))
}

// BeginHandshake implements tnccs.IMC.
func (c *remote) BeginHandshake(connection uint32) error {
	return c.call(opBegin, u32s(connection))
}

// ReceiveMessage implements tnccs.IMC.
func (c *remote) ReceiveMessage(connection uint32, m tnccs.Message) error {
	b := make([]byte, 0, 21+len(m.Data))
	b = wire.AppendU32(b, connection)
	if m.Exclusive {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, v := range []uint32{m.Vendor, m.Subtype, m.SourceIMV, m.DestIMC} {
		b = wire.AppendU32(b, v)
	}
	return c.call(opReceive, append(b, m.Data...))
}

// BatchEnding implements tnccs.IMC.
func (c *remote) BatchEnding(connection uint32) error {
	return c.call(opEnding, u32s(connection))
}

// Terminate implements tnccs.IMC: it ends the IMC and its process, whatever
// state they are in, within twice TerminateTimeout.
func (c *remote) Terminate() error {
	c.mu.Lock()
	ending, initDone := c.ending, c.initDone
	c.ending = true
	c.mu.Unlock()
	if ending {
		<-c.ended
		return nil
	}
	var err error
	if initDone && c.link.cause() == nil {
		var a answer
		if a, err = c.ask(opTerminate, nil, c.o.TerminateTimeout); err == nil {
			err = tnccs.ErrorOf(a.result)
		}
	}
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.conn.Close()
	select {
	case <-c.ended:
	case <-time.After(c.o.TerminateTimeout):
		c.kill(nil)
		<-c.ended
	}
	return err
}

// serve answers the calls of the IMC.
func (c *remote) serve(o op, payload []byte) (a answer) {
	defer func() {
		if p := recover(); p != nil { // this process holds more than this IMC
			log.Errorf(c.log, "a call of IMC %q failed: %v\n%s", c.entry.Name, p, debug.Stack())
			a = answer{result: tnccs.ResultFatal}
		}
	}()
	c.mu.Lock()
	host := c.host
	c.mu.Unlock()
	r := wire.NewReader("question", payload)
	c.lines.await(r.U32())
	if host == nil {
		return answer{result: tnccs.ResultNotInitialized}
	}
	imc := r.U32()
	switch o {
	case opReportTypes:
		a.result = host.ReportMessageTypes(imc, rest(r))
	case opReportTypesLong:
		all := rest(r)
		a.result = host.ReportMessageTypesLong(imc, all[:len(all)/2], all[len(all)/2:])
	case opRetry:
		a.result = host.RequestHandshakeRetry(imc, r.U32(), tnccs.RetryReason(r.U32()))
	case opSend:
		conn, typ := r.U32(), r.U32()
		a.result = host.SendMessage(imc, conn, r.Rest(), typ)
	case opSendLong:
		conn, flags, vendor, subtype, imv := r.U32(), r.U32(), r.U32(), r.U32(), r.U32()
		a.result = host.SendMessageLong(imc, conn, flags, r.Rest(), vendor, subtype, imv)
	case opGetAttribute:
		a.data, a.result = host.GetAttribute(imc, r.U32(), tnccs.AttributeID(r.U32()))
	case opSetAttribute:
		conn, attribute := r.U32(), tnccs.AttributeID(r.U32())
		a.result = host.SetAttribute(imc, conn, attribute, r.Rest())
	case opReserve:
		var id uint32
		if id, a.result = host.ReserveAdditionalIMCID(imc); a.result == tnccs.ResultSuccess {
			a.data = u32s(id)
		}
	default:
		a.result = tnccs.ResultInvalidParameter
	}
	return a
}

// rest reads all values that are left.
func rest(r *wire.Reader) []uint32 {
	out := make([]uint32, r.Len()/4)
	for i := range out {
		out[i] = r.U32()
	}
	return out
}

// Source returns the path of the library.
func (c *remote) Source() string { return c.entry.Path }

// Interface is part of tnccs.Library.
func (c *remote) Interface() tnccs.Interface {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offers
}
