package client

import (
	"crypto/sha256"
	"encoding/hex"
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

// RunDir is the folder with the lock, the control socket, the cleanup record and
// the state of each connection that stays, in one network namespace.
type RunDir string

// RunDirVariable is the environment variable that names another folder than
// /run/tnc.
const RunDirVariable = "TNC_RUN_DIR"

const maxRunFile = 1 << 20 // octets of a cleanup record, and of an answer

// DefaultRunDir returns the folder of RunDirVariable, or /run/tnc, where it is of
// this network namespace; else the folder of this namespace in it. /run/tnc is of
// the namespace of PID 1, another folder, or where that is not known, of the one
// that uses it first.
func DefaultRunDir() RunDir { return runDirHere(false) }

// runDirHere is DefaultRunDir; claim makes a folder that is of no namespace that of
// this one.
func runDirHere(claim bool) RunDir {
	base, chosen := os.LookupEnv(RunDirVariable)
	if base == "" {
		base, chosen = "/run/tnc", false
	}
	own := namespaceName()
	here, inside := RunDir(base), RunDir(filepath.Join(base, own))
	if own == "" {
		return here
	}
	if first, known := inFirstNamespace(); known && !chosen {
		if first {
			return here
		}
		return inside
	}
	owner := here.owner()
	if owner != "" && owner != own && claim && !namespaceLives(owner, namespaces()) && !here.inUse() {
		owner = ""
	}
	switch {
	case owner == own:
		return here
	case owner != "":
		return inside
	case claim:
		_ = here.make() // what keeps it from being made is an error later
		_ = os.WriteFile(filepath.Join(base, ownerFile), []byte(own), 0o644)
		_ = os.Chmod(filepath.Join(base, ownerFile), 0o644)
	case owner == "" && inside.exists(): // made by who could look at PID 1
		return inside
	}
	return here
}

func (d RunDir) exists() bool {
	_, err := os.Stat(string(d))
	return err == nil
}

// ownerFile names the namespace that a run folder is of.
const ownerFile = "netns"

func (d RunDir) owner() string {
	b, _ := readLimited(filepath.Join(string(d), ownerFile), maxRunFile)
	return string(b)
}

// maxPlainName is the longest name of a connection that names its files as it is;
// maxNamePart is how much of a longer one they keep.
const (
	maxPlainName = 40
	maxNamePart  = 16
)

// fileName returns the name of the files of a connection, without extension: its
// own name where that consists of a few lower-case letters, digits, '-' and '_';
// else what is left of it, a dot, and its digest. So two connections never share
// files, not on a file system without upper case either.
func fileName(name string) string {
	plain := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, strings.ToLower(name))
	if plain == name && len(name) <= maxPlainName && name != "" {
		return name
	}
	digest := sha256.Sum256([]byte(name))
	return plain[:min(len(plain), maxNamePart)] + "." + hex.EncodeToString(digest[:16])
}

// nameServerKey returns the name under which the name servers of a connection are
// given to the system, which several network namespaces may share.
func (d RunDir) nameServerKey(connection string) string {
	key := fileName(connection)
	if namespaceNames.MatchString(filepath.Base(string(d))) {
		key += "." + filepath.Base(string(d))
	}
	return key
}

func (d RunDir) file(name, ext string) string {
	return filepath.Join(string(d), fileName(name)+ext)
}

// Names returns the names of the connections that are up.
func (d RunDir) Names() (names []string) {
	for _, p := range d.sockets() {
		base := strings.TrimSuffix(p, socketExt)
		name := filepath.Base(base)
		if b, err := readLimited(base+nameExt, maxRunFile); err == nil {
			name = string(b)
		}
		names = append(names, name)
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
	recordExt = ".json"  // what to remove after a run that was killed
	stateExt  = ".state" // what the next run may use
	nameExt   = ".name"  // the name of the connection, where it is not that of the files

	statusExt  = ".status"  // the socket that only tells the state, to everyone
	historyExt = ".history" // what happened, for everyone to read
)

// runFiles are the files of a connection that is up. They keep it from being up
// twice, and let a later run clean up after one that was killed.
type runFiles struct {
	dir  RunDir
	name string // of the connection
	lock *os.File

	control, status net.Listener // their sockets
}

// takeLock takes the lock of the connection and cleans up after a run that was
// killed.
func (c *Client) takeLock() (*runFiles, error) {
	f, err := c.cfg.RunDir.lock(c.profile.Connection.Name)
	if err != nil {
		return nil, err
	}
	sweepNamespaces(c.cfg.RunDir, c.logger)
	if _, err = f.cleanUp(c.logger); err != nil {
		f.close()
		return nil, fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if fileName(f.name) != f.name {
		if err := f.writeFile(nameExt, []byte(f.name), 0o644); err != nil {
			f.close()
			return nil, &RunDirError{err}
		}
	}
	return f, nil
}

// make makes the folder, and lets everyone see what is in it, whatever the umask of a
// service is: the files say who may read them.
func (d RunDir) make() error {
	if _, err := os.Stat(string(d)); err == nil {
		return nil
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	return os.Chmod(string(d), 0o755)
}

// lockTries is how often the lock is tried: whoever asks whether a connection is
// up holds it for an instant.
const lockTries = 5

// lock takes the lock of a connection. An *UpError says that somebody has it.
func (d RunDir) lock(name string) (*runFiles, error) {
	f := &runFiles{dir: d, name: name}
	if err := f.dir.make(); err != nil {
		return nil, &RunDirError{err}
	}
	var err error
	if f.lock, err = os.OpenFile(f.path(lockExt), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600); err != nil {
		return nil, fmt.Errorf("open the lock of connection %q: %w", f.name, err)
	}
	for try := 1; unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; try++ {
		if try == lockTries {
			f.lock.Close()
			return nil, &UpError{f.name}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return f, nil
}

func (f *runFiles) path(ext string) string { return f.dir.file(f.name, ext) }

// close removes socket and record and gives the lock back.
func (f *runFiles) close() {
	if f == nil {
		return
	}
	for ext, ln := range map[string]net.Listener{socketExt: f.control, statusExt: f.status} {
		if ln != nil {
			_ = ln.Close()
			_ = os.Remove(f.path(ext))
		}
	}
	_ = os.Remove(f.path(recordExt))
	_ = os.Remove(f.path(nameExt))
	_ = f.lock.Close() // the file stays: removing it would race with another run
}

// isUp reports whether somebody holds the lock of a connection.
func (d RunDir) isUp(name string) bool { return isLocked(d.file(name, lockExt)) }

func isLocked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

// writeFile replaces a file of the connection at once. It has that mode whatever the
// umask of a service is.
func (f *runFiles) writeFile(ext string, b []byte, mode os.FileMode) error {
	tmp := f.path(ext + ".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, f.path(ext))
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
