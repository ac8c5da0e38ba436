package dlimc

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/confine"
	"github.com/gotnc/gotnc/internal/base/imclink"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs"
)

// startChild starts the child of an IMC and opens the library in it.
func startChild(e Entry, cfg Config) (*remote, error) {
	if cfg.Helper == "" && !childMainCalled.Load() {
		return nil, loadError(e, ErrNoChildMain, "")
	}
	p, err := newPipes()
	if err != nil {
		return nil, loadError(e, ErrChild, err.Error())
	}
	defer p.closeChildEnds()
	plan, level, err := cfg.Sandbox.plan(e)
	if err != nil {
		p.closeOwnEnds()
		return nil, err
	}
	cmd, files, err := childCommand(e, cfg, p, plan)
	if err == nil {
		err = cmd.Start()
	}
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		p.closeOwnEnds()
		return nil, loadError(e, ErrChild, err.Error())
	}
	p.closeChildEnds() // only the child holds them now: they end with it
	c := &remote{
		entry:  e,
		cfg:    cfg,
		log:    imcLogger(cfg.Logger),
		plan:   plan,
		cmd:    cmd,
		conn:   p.conn,
		lines:  newLines(p.output, cfg.Logger),
		exited: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	c.link = imclink.New(p.conn, false, c.serve)
	go c.reap()
	go c.lines.run()
	go c.run()
	if err := c.open(); err != nil {
		_ = c.Terminate() // err is the cause
		return nil, err
	}
	c.logSandbox(level)
	return c, nil
}

// pipes connect a child: a socket for calls, and a pipe for its output.
type pipes struct {
	conn   net.Conn // end of this process
	output *os.File // end of this process
	socket *os.File // end of the child
	stdout *os.File // end of the child
}

func newPipes() (*pipes, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	own := os.NewFile(uintptr(fds[0]), "imc")
	p := &pipes{socket: os.NewFile(uintptr(fds[1]), "parent")}
	p.conn, err = net.FileConn(own)
	own.Close()
	if err != nil {
		p.socket.Close()
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	if p.output, p.stdout, err = os.Pipe(); err != nil {
		p.socket.Close()
		p.conn.Close()
		return nil, fmt.Errorf("pipe: %w", err)
	}
	return p, nil
}

// closeChildEnds closes the ends of the child in this process. It may be called
// more than once.
func (p *pipes) closeChildEnds() {
	p.socket.Close()
	p.stdout.Close()
}

// closeOwnEnds closes the ends of this process.
func (p *pipes) closeOwnEnds() {
	p.conn.Close()
	p.output.Close()
}

// childCommand returns the command of the child of an IMC. files are those that it
// inherits beside those of p; the caller closes them after the start.
func childCommand(e Entry, cfg Config, p *pipes, plan *confine.Plan) (cmd *exec.Cmd, files []*os.File, err error) {
	env := cfg.Env
	if env == nil {
		env = os.Environ()
	}
	// The image of this process itself, even if an update has replaced its file.
	program, name := "/proc/self/exe", os.Args[0]
	if cfg.Helper != "" {
		program, name = cfg.Helper, cfg.Helper
	}
	cmd = exec.Command(program, ChildArg, e.Name)
	cmd.Args[0] = name
	cmd.Env = append(append([]string(nil), env...), childEnv+"="+protocol, BesideEnv+"="+paths(cfg.Beside))
	cmd.Stdout, cmd.Stderr = p.stdout, p.stdout
	cmd.ExtraFiles = []*os.File{p.socket}
	// inherit passes a file on, and returns its descriptor in the child.
	inherit := func(f *os.File) int {
		files, cmd.ExtraFiles = append(files, f), append(cmd.ExtraFiles, f)
		return imclink.ChildFD + len(cmd.ExtraFiles) - 1
	}
	if plan != nil {
		f, err := plan.File()
		if err != nil {
			return nil, files, err
		}
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", confine.Variable, inherit(f)))
	}
	if usesLibimcv(e.Path) {
		user := userConf(e.Path, env)
		if fd := imclink.Descriptor(user); fd >= 0 { // the child has other numbers
			if fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
				return nil, files, fmt.Errorf("%s=%s: %w", confEnv, user, err)
			}
			user = fmt.Sprintf("/proc/self/fd/%d", inherit(os.NewFile(uintptr(fd), "strongswan.conf")))
		}
		f, err := memoryFile("strongswan.conf", strongswanConf(e.Path, user, cfg.Logger))
		if err != nil {
			return nil, files, err
		}
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=/proc/self/fd/%d", confEnv, inherit(f)))
	}
	// A session for the child, and so a process group: the processes that the IMC
	// starts are killed with it, Ctrl-C ends this program in order, not its IMCs before
	// it, and SIGCONT, which anyone may send within a session, does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, files, nil
}

// logSandbox says what is in force in the child.
func (c *remote) logSandbox(level SandboxLevel) {
	if c.plan == nil {
		log.Infof(c.log, "IMC %q is not confined (%s)", c.entry.Name, level)
		return
	}
	without := ""
	if l := c.plan.Lacks(); len(l) > 0 {
		without = "; this system lacks " + strings.Join(l, ", ")
	}
	log.Infof(c.log, "IMC %q is confined (%s): %s%s", c.entry.Name, level, strings.Join(c.plan.Force(), ", "), without)
}

// paths returns the paths of entries, separated by colons.
func paths(entries []Entry) string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Path
	}
	return strings.Join(list, ":")
}

// open opens the library in the child.
func (c *remote) open() error {
	a, err := c.ask(opLoad, []byte(c.entry.Path), c.cfg.InitTimeout)
	switch {
	case err != nil:
		return &LoadError{Entry: c.entry, Err: err, Helper: c.cfg.Helper}
	case a.Result != uint32(tnccs.ResultSuccess):
		return c.loadError(a)
	}
	return nil
}

// loadError decodes the error of opLoad or opInitialize.
func (c *remote) loadError(a answer) error {
	cause := ErrNotLoadable
	if len(a.Data) == 0 {
		return loadError(c.entry, cause, tnccs.Result(a.Result).Error())
	}
	if i := int(a.Data[0]); i < len(causes) {
		cause = causes[i]
	}
	return loadError(c.entry, cause, text.Printable(string(a.Data[1:])))
}
