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
	"time"

	"github.com/gotnc/gotnc/internal/base/confine"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/ownership"
	"github.com/gotnc/gotnc/tnccs"
)

// BesideEnv is the name of the environment variable with the paths of
// Config.Beside, separated by colons.
const BesideEnv = "GOTNC_IMCS"

// Time limits of calls into a child.
const (
	// DefaultInitTimeout limits the start of the child, dlopen, and Initialize.
	DefaultInitTimeout = 15 * time.Second
	// DefaultCallTimeout limits every other call: the IMC may measure large files
	// in it.
	DefaultCallTimeout = 120 * time.Second
	// DefaultTerminateTimeout limits Terminate and the end of the child.
	DefaultTerminateTimeout = 5 * time.Second
)

// Causes of a LoadError and of lost IMCs.
var (
	ErrNotFound    = errors.New("file not found")
	ErrNotLibrary  = errors.New("not a shared library")
	ErrNotLoadable = errors.New("cannot be loaded")
	ErrNoSymbol    = errors.New("not an IMC")
	ErrUnsafe      = errors.New("not loaded as root")
	ErrRefused     = errors.New("IMC refused to start")
	ErrChild       = errors.New("cannot start the process of the IMC")
	ErrNoChildMain = errors.New("the program does not call dlimc.ChildMain, so it cannot hold an IMC")
	ErrCrashed     = errors.New("the IMC crashed")
	ErrHung        = errors.New("the IMC does not answer")
	ErrGone        = errors.New("the IMC has been terminated")
	ErrSandbox     = errors.New("its process cannot be confined")
	ErrLevel       = errors.New("there is no such level of Sandbox")
)

// LoadError is the error of an IMC that cannot be loaded. Err is one of the
// causes above.
type LoadError struct {
	Entry  Entry
	Err    error
	Detail string // more about the cause; may be empty
	Helper string // Config.Helper, if that failed before it opened the library
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

// MemoryError is the error of an IMC whose process ended near the limit of its
// memory; both are in octets.
type MemoryError struct {
	Err         error
	Used, Limit uint64
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%v with %d MiB of memory, of which it may have %d", e.Err, e.Used>>20, e.Limit>>20)
}

func (e *MemoryError) Unwrap() error { return e.Err }

// loadError returns a *LoadError.
func loadError(e Entry, cause error, detail string) error {
	return &LoadError{Entry: e, Err: cause, Detail: detail}
}

// Config configures Load. The zero value is usable.
type Config struct {
	// InProcess loads the library into this process instead of a child. No calls
	// are copied between processes then, but a crash or hang of the library is one
	// of the program, and the time limits do not apply.
	InProcess bool
	// AllowWritable loads libraries as root that others than root may change: by
	// writing the file or a directory on the way to it. By default these are refused
	// with ErrUnsafe; without root's rights nothing is.
	AllowWritable bool
	// Sandbox says what a child may do. In process nothing is confined.
	Sandbox Sandbox
	// Logger gets the log of the IMC, and the output of its child; nil discards.
	Logger *slog.Logger
	// InitTimeout, CallTimeout and TerminateTimeout limit the calls into a child;
	// 0 means the defaults above.
	InitTimeout, CallTimeout, TerminateTimeout time.Duration
	// Context, once it is done, limits all calls into a child to TerminateTimeout,
	// those in progress too: an interrupted program does not wait for an IMC that
	// measures or hangs. nil is never done.
	Context context.Context
	// Env is the environment of the child; nil means that of this process. With
	// InProcess its variables are set in this process while an IMC starts.
	Env []string
	// Beside lists the entries that are loaded into the same client. A child gets
	// their paths in the environment (BesideEnv), since it cannot see the other
	// libraries: an IMC leaves to another one what both would report. AddAll and
	// AddEntries set it.
	Beside []Entry
	// Helper is the path of a program that calls ChildMain, for the child: libraries
	// need it, whose process is another program. "" means the program of this
	// process, which must have called ChildMain.
	Helper string
}

// withDefaults returns cfg with the default time limits.
func (cfg Config) withDefaults() Config {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&cfg.InitTimeout, DefaultInitTimeout}, {&cfg.CallTimeout, DefaultCallTimeout}, {&cfg.TerminateTimeout, DefaultTerminateTimeout}} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	return cfg
}

// AddAll loads the IMCs of the tnc_config file at path into client, in the order
// of the file. It stops at the first error, which is a *ConfigError for a bad
// line and a *LoadError for an IMC that cannot be loaded.
func AddAll(client *tnccs.Client, path string, cfg Config) error {
	entries, problems, err := ParseTNCConfig(path)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return problems[0]
	}
	return AddEntries(client, entries, cfg)
}

// AddEntries loads the IMCs of entries into client, in their order. It stops at
// the first error.
func AddEntries(client *tnccs.Client, entries []Entry, cfg Config) error {
	cfg.Beside = entries
	for _, e := range entries {
		if err := Add(client, e, cfg); err != nil {
			return err
		}
	}
	return nil
}

// Add loads the IMC of e into client, and loads it again for the next session
// after it was lost.
func Add(client *tnccs.Client, e Entry, cfg Config) error {
	return client.AddLoader(e.Name, func() (tnccs.IMC, error) { return Load(e, cfg) })
}

// Load loads the IMC of e, for (*tnccs.Client).Add, which initializes it. An IMC
// that is not added must be freed by its Terminate.
//
// Load starts the child and opens the library in it; in process the library is
// opened by Initialize. Errors of both are *LoadError.
func Load(e Entry, cfg Config) (tnccs.IMC, error) {
	cfg = cfg.withDefaults()
	if err := checkFile(e); err != nil {
		return nil, err
	}
	if confine.Permitted() != 0 && !cfg.AllowWritable { // root, or a service with some of its rights
		if who := Unsafe(e.Path); who != "" {
			return nil, loadError(e, ErrUnsafe, "it "+who)
		}
	}
	if cfg.InProcess {
		return &inProcess{entry: e, cfg: cfg}, nil
	}
	c, err := startChild(e, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Unsafe returns the clause that says who, besides root and the user of this
// process, may change the library at path, with file, owner and mode; "" for nobody.
func Unsafe(path string) string {
	r, err := ownership.Find(path)
	if err != nil || r == nil {
		return "" // a file that is not there is an error of its own
	}
	return r.String()
}

// checkFile returns an error for a file that cannot be an IMC, which dlopen would
// report in worse words.
func checkFile(e Entry) error {
	if !filepath.IsAbs(e.Path) {
		return loadError(e, ErrNotFound, "the path must be absolute")
	}
	st, err := os.Stat(e.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return loadError(e, ErrNotFound, "")
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

// imcLogger returns the logger for lines of an IMC without a group.
func imcLogger(l *slog.Logger) *slog.Logger { return log.Group(l, log.IMC) }
