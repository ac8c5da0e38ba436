package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
)

// RunDir is the folder with the lock, the control socket and the cleanup record
// of each connection that stays.
type RunDir string

// RunDirVariable is the environment variable that names another folder than
// /run/tnc.
const RunDirVariable = "TNC_RUN_DIR"

const maxRunFile = 1 << 20 // octets of a cleanup record, and of an answer

// DefaultRunDir returns the folder of RunDirVariable, or /run/tnc.
func DefaultRunDir() RunDir {
	if d := os.Getenv(RunDirVariable); d != "" {
		return RunDir(d)
	}
	return "/run/tnc"
}

func (d RunDir) file(name, ext string) string {
	return filepath.Join(string(d), resolvconf.SafeName(name)+ext)
}

// Names returns the names of the connections that are up.
func (d RunDir) Names() (names []string) {
	for _, p := range d.sockets() {
		names = append(names, strings.TrimSuffix(filepath.Base(p), socketExt))
	}
	return names
}

// RunDirError is why the run folder cannot be made.
type RunDirError struct{ Err error }

func (e *RunDirError) Error() string { return fmt.Sprintf("make the run folder: %v", e.Err) }
func (e *RunDirError) Unwrap() error { return e.Err }

// UpError is the error of a connection that is up already.
type UpError struct{ Connection string }

func (e *UpError) Error() string { return fmt.Sprintf("connection %q is up already", e.Connection) }

// Extensions of the files of a connection.
const (
	lockExt   = ".lock"
	socketExt = ".sock"
	recordExt = ".json"
)

// runFiles are the files of a connection that is up. They keep it from being up
// twice, and let a later run clean up after one that was killed.
type runFiles struct {
	dir  RunDir
	name string // of the connection
	lock *os.File
	ln   net.Listener // the control socket
}

// takeLock takes the lock of the connection and cleans up after a run that was
// killed.
func (c *Client) takeLock() (*runFiles, error) {
	f := &runFiles{dir: c.cfg.RunDir, name: c.profile.Connection.Name}
	if err := os.MkdirAll(string(f.dir), 0o755); err != nil {
		return nil, &RunDirError{err}
	}
	var err error
	if f.lock, err = os.OpenFile(f.path(lockExt), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600); err != nil {
		return nil, fmt.Errorf("open the lock of connection %q: %w", f.name, err)
	}
	if err := unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.lock.Close()
		return nil, &UpError{f.name}
	}
	if err := f.cleanUp(c.logger); err != nil {
		f.close()
		return nil, fmt.Errorf("remove what an earlier run left: %w", err)
	}
	return f, nil
}

func (f *runFiles) path(ext string) string { return f.dir.file(f.name, ext) }

// close removes socket and record and gives the lock back.
func (f *runFiles) close() {
	if f == nil {
		return
	}
	if f.ln != nil {
		_ = f.ln.Close()
		_ = os.Remove(f.path(socketExt))
	}
	_ = os.Remove(f.path(recordExt))
	_ = f.lock.Close() // the file stays: removing it would race with another run
}

// isUp reports whether somebody holds the lock of a connection.
func (d RunDir) isUp(name string) bool {
	f, err := os.Open(d.file(name, lockExt))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
