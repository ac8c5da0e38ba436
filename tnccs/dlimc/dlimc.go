// Package dlimc loads IMCs that are shared libraries, as /etc/tnc_config names
// them: each in a child process of the same binary by default, so that one that
// crashes or hangs takes nothing else down, or in this process.
//
// The child is this binary, started again with the argument ChildArg: main (and
// TestMain of tests) calls IsChild and ChildMain before anything else.
package dlimc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
)

// BesideEnv names the environment variable with the paths of Options.Beside,
// separated by colons.
const BesideEnv = "GOTNC_IMCS"

// Time limits of calls into a child.
const (
	// DefaultInitTimeout bounds the start of the child, dlopen, and Initialize.
	DefaultInitTimeout = 15 * time.Second
	// DefaultCallTimeout bounds every other call: the IMC may have to measure
	// large files in it.
	DefaultCallTimeout = 120 * time.Second
	// DefaultTerminateTimeout bounds Terminate and the end of the child.
	DefaultTerminateTimeout = 5 * time.Second
)

// Causes of a LoadError and of lost IMCs.
var (
	ErrNotFound    = errors.New("file not found")
	ErrNotLibrary  = errors.New("not a shared library")
	ErrNotLoadable = errors.New("cannot be loaded")
	ErrNoSymbol    = errors.New("not an IMC")
	ErrRefused     = errors.New("IMC refused to start")
	ErrChild       = errors.New("cannot start the process of the IMC")
	ErrCrashed     = errors.New("the IMC crashed")
	ErrHung        = errors.New("the IMC does not answer")
	ErrGone        = errors.New("the IMC has been terminated")
)

// LoadError says why an IMC could not be loaded. Err is one of the causes above.
type LoadError struct {
	Entry  Entry
	Err    error
	Detail string // what to look at
}

func (e *LoadError) Error() string {
	s := fmt.Sprintf("load IMC %q from %s: %v", e.Entry.Name, e.Entry.Path, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Entry.File != "" {
		s += fmt.Sprintf(" (configured at %s:%d)", e.Entry.File, e.Entry.Line)
	}
	return s
}

func (e *LoadError) Unwrap() error { return e.Err }

func loadError(e Entry, cause error, detail string) error {
	return &LoadError{Entry: e, Err: cause, Detail: detail}
}

// Options configures Load. The zero value is usable.
type Options struct {
	// InProcess loads the library into this process instead of a child: without
	// the copying, but a crash or hang of the library is one of the program, and
	// no time limit holds.
	InProcess bool
	// Logger takes what the IMC logs, and prints in a child; nil discards.
	Logger *slog.Logger
	// InitTimeout, CallTimeout and TerminateTimeout bound the calls into a child;
	// 0 means the default above.
	InitTimeout, CallTimeout, TerminateTimeout time.Duration
	// Context, once it is done, leaves calls into a child TerminateTimeout at most,
	// those under way too: whoever interrupts the program does not wait for an IMC
	// that measures or hangs. nil is never done.
	Context context.Context
	// Env is the environment of the child; nil means that of this process, to which
	// its variables are added while an IMC starts in it.
	Env []string
	// Beside are the entries that are loaded for the same client. A child, which
	// cannot see the others' libraries, is told their paths in the environment
	// (BesideEnv): an IMC leaves to another what both would tell the verifier.
	Beside []Entry
	// Helper is the program that the child runs, whose main calls ChildMain: for
	// libraries, whose process is another program. "" means this program's image.
	Helper string
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&o.InitTimeout, DefaultInitTimeout}, {&o.CallTimeout, DefaultCallTimeout}, {&o.TerminateTimeout, DefaultTerminateTimeout}} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	return o
}

// Load prepares the IMC of e. It is then given to (*tnccs.Client).Add, which
// initializes it; an IMC that is not added is freed by its Terminate.
//
// A child is started, and the library opened, right here; in process the
// library is opened by Initialize. Errors of both are *LoadError.
func Load(e Entry, o Options) (tnccs.IMC, error) {
	o = o.withDefaults()
	if err := checkFile(e); err != nil {
		return nil, err
	}
	if o.InProcess {
		return &inProcess{entry: e, o: o}, nil
	}
	c, err := startChild(e, o)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// checkFile finds out what dlopen would word badly.
func checkFile(e Entry) error {
	if !filepath.IsAbs(e.Path) {
		return loadError(e, ErrNotFound, "the path must be absolute")
	}
	st, err := os.Stat(e.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return loadError(e, ErrNotFound, "install it or correct the path")
	case err != nil:
		return loadError(e, ErrNotLoadable, err.Error())
	case !st.Mode().IsRegular():
		return loadError(e, ErrNotLibrary, "it is no regular file")
	}
	f, err := os.Open(e.Path)
	if err != nil {
		return loadError(e, ErrNotLoadable, err.Error())
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || !bytes.Equal(magic[:], []byte("\x7fELF")) {
		return loadError(e, ErrNotLibrary, "it does not begin with an ELF header")
	}
	return nil
}

// opening is held while a library is opened and initialized in this process.
var opening sync.Mutex

// inProcess is an IMC in this process.
type inProcess struct {
	entry Entry
	o     Options

	mu     sync.Mutex
	imc    tnccs.IMC // nil before Initialize
	closed bool
}

// Source returns the path of the library.
func (p *inProcess) Source() string { return p.entry.Path }

// Interface is part of tnccs.Library.
func (p *inProcess) Interface() tnccs.Interface {
	if l, ok := p.loaded().(interface{ Interface() tnccs.Interface }); ok {
		return l.Interface()
	}
	return tnccs.Interface{}
}

// Initialize opens the library and initializes it.
func (p *inProcess) Initialize(id uint32, host tnccs.TNCC) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrGone
	}
	if p.imc != nil {
		return tnccs.ResultAlreadyInitialized
	}
	opening.Lock()
	defer opening.Unlock()
	done, err := setEnvironment(p.entry, p.o)
	if err != nil {
		return loadError(p.entry, ErrNotLoadable, err.Error())
	}
	defer done()
	m, err := openModule(p.entry, false, p.o.Logger)
	if err != nil {
		return err
	}
	p.imc = m
	return m.Initialize(id, host)
}

func (p *inProcess) loaded() tnccs.IMC {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.imc == nil || p.closed {
		return notInitialized{}
	}
	return p.imc
}

func (p *inProcess) NotifyConnectionChange(connection uint32, state tnccs.ConnectionState) error {
	return p.loaded().NotifyConnectionChange(connection, state)
}

func (p *inProcess) BeginHandshake(connection uint32) error {
	return p.loaded().BeginHandshake(connection)
}

func (p *inProcess) ReceiveMessage(connection uint32, m tnccs.Message) error {
	return p.loaded().ReceiveMessage(connection, m)
}

func (p *inProcess) BatchEnding(connection uint32) error { return p.loaded().BatchEnding(connection) }

func (p *inProcess) Terminate() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.imc == nil {
		return nil
	}
	return p.imc.Terminate()
}

// notInitialized answers for an IMC that is not there.
type notInitialized struct{}

func (notInitialized) Initialize(uint32, tnccs.TNCC) error { return tnccs.ResultNotInitialized }
func (notInitialized) NotifyConnectionChange(uint32, tnccs.ConnectionState) error {
	return tnccs.ResultNotInitialized
}
func (notInitialized) BeginHandshake(uint32) error { return tnccs.ResultNotInitialized }
func (notInitialized) ReceiveMessage(uint32, tnccs.Message) error {
	return tnccs.ResultNotInitialized
}
func (notInitialized) BatchEnding(uint32) error { return tnccs.ResultNotInitialized }
func (notInitialized) Terminate() error         { return nil }

// imcLogger is where lines of the IMC go that carry no group.
func imcLogger(l *slog.Logger) *slog.Logger { return log.Group(l, log.IMC) }
