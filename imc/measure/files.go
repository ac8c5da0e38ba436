package measure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// Default limits of one request.
const (
	DefaultMaxFiles = 100_000
	DefaultMaxBytes = 64 << 30
	DefaultTimeout  = 60 * time.Second
)

// maxPath is PATH_MAX of Linux, without the NUL.
const maxPath = unix.PathMax - 1

// Limits bound what one request may cost; zero or less is the default.
type Limits struct {
	MaxFiles int           // regular files and links of one directory
	MaxBytes int64         // octets read
	Timeout  time.Duration // until the answer
}

func (l Limits) withDefaults() Limits {
	if l.MaxFiles <= 0 {
		l.MaxFiles = DefaultMaxFiles
	}
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.Timeout <= 0 {
		l.Timeout = DefaultTimeout
	}
	return l
}

// Files measures files; it implements pts.Measurer. The zero value is ready: it
// has the default limits, allows what Policy's zero value does, and logs
// nothing. It may be used from many goroutines.
type Files struct {
	Limits
	Policy Policy
	Logger *slog.Logger // nil discards

	cache *cache
}

var (
	_ pts.Measurer           = Files{}
	_ pts.ConnectionMeasurer = Files{}
)

// FilesFromSettings returns the Files that strongswan.conf describes with
// plugins.imc-attestation.measure_{allow,deny}, lists of patterns separated by
// blanks or commas, and measure_max_{files,bytes,seconds}. What is wrong in
// them is logged; the rest is in force.
func FilesFromSettings(s Settings, logger *slog.Logger) Files {
	cfg := log.Group(logger, log.CFG)
	// Numbers are read as text: an octet count passes 32 bits, and a value that
	// is wrong must be told.
	number := func(setting settings.Text, limit int64) int64 {
		text := setting.Read(s)
		if text == "" {
			return 0
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 || n > limit {
			log.Warnf(cfg, "%s = %s is no number from 1 to %d, the default is in force", strings.TrimPrefix(setting.Key(), "plugins."), quote(text), limit)
			return 0
		}
		return n
	}
	f := Files{Logger: logger, Limits: Limits{
		MaxFiles: int(number(settings.MeasureMaxFiles, 10_000_000)),
		MaxBytes: number(settings.MeasureMaxBytes, 1<<62),
		Timeout:  time.Duration(number(settings.MeasureMaxSeconds, 86_400)) * time.Second,
	}}
	var err error
	if f.Policy, err = policyFromSettings(s); err != nil {
		log.Warnf(cfg, "imc-attestation.%v", err)
		if f.Policy.closed {
			cfg.Warn("imc-attestation: no file is measured until measure_allow and measure_deny are right")
		}
	}
	return f
}

// ForConnection returns a Measurer for one connection: a file that has not
// changed is not read again when it is asked for twice.
func (f Files) ForConnection() pts.Measurer {
	f.cache = newCache()
	return f
}

func (f Files) logger() *slog.Logger { return log.Group(f.Logger, log.PTS) }

// Measure returns the digest of a file, or of the regular files of a directory
// (symbolic links to such included) whose names do not begin with a dot, in the
// order of their names, not descending. Files of a directory that cannot be
// read, or that the Policy refuses, are left out and logged.
func (f Files) Measure(ctx context.Context, name string, directory bool, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	if _, ok := alg.New(); !ok {
		return nil, fmt.Errorf("measure %s: no measurement algorithm %v", quote(name), alg)
	}
	return do(ctx, f, "measure", name, directory, func(r *request, n *node) ([]pts.MeasuredFile, error) {
		if directory {
			return r.directory(n, alg)
		}
		s, err := r.acquire(false)
		if err != nil {
			return nil, err
		}
		defer s.release()
		h := &hasher{alg: alg, ahead: true}
		h.hash, _ = alg.New()
		sum, err := r.digest(n, h, nil)
		if err != nil {
			return nil, err
		}
		return []pts.MeasuredFile{{Name: path.Base(name), Measurement: sum}}, nil
	})
}

// do finds what a verifier named, checks it against the Policy and hands it to
// work.
func do[T any](ctx context.Context, f Files, operation, name string, directory bool, work func(*request, *node) (T, error)) (T, error) {
	what := "file"
	if directory {
		what = "directory"
	}
	value, err := run(ctx, f, func(r *request) (none T, err error) {
		if err := checkPath(name); err != nil {
			return none, err
		}
		if err := r.policy.checkAsked(name); err != nil {
			return none, err
		}
		n, err := lookup(name)
		if err != nil {
			return none, err
		}
		defer n.close()
		if directory && !n.is(unix.S_IFDIR) {
			return none, unix.ENOTDIR
		}
		if err := r.permits(n); err != nil {
			return none, err
		}
		return work(r, n)
	})
	if err != nil {
		return value, fmt.Errorf("%s %s %s: %w", operation, what, quote(name), classify(err))
	}
	return value, nil
}

// quote makes a path fit for a line of log.
func quote(s string) string { return text.Quote(s, 256) }

// checkPath refuses what no file can be called.
func checkPath(name string) error {
	switch {
	case name == "":
		return pts.ErrNotFound
	case len(name) > maxPath || strings.IndexByte(name, 0) >= 0 || !filepath.IsAbs(name):
		return pts.ErrInvalidPath
	}
	return nil
}

// classify adds the cause that the protocol has an error for: File Not Found for
// what does not exist, Invalid Path for every other cause. Only an
// end that comes from outside has none.
func classify(err error) error {
	switch {
	case errors.Is(err, pts.ErrInvalidPath), errors.Is(err, pts.ErrNotFound), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: %w", pts.ErrNotFound, err)
	}
	return fmt.Errorf("%w: %w", pts.ErrInvalidPath, err)
}

// list returns the names of a directory that want takes.
func (r *request) list(n *node, want func([]byte, uint8) bool) ([]string, error) {
	fd, err := n.open(r.ctx, true)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return list(r.ctx, fd, r.limits.MaxFiles, want)
}

// openFile opens a regular file of the system itself for reading, without
// waiting for anything.
func openFile(name string) (int, error) {
	fd, err := openRetry(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return -1, errNotRegular
	}
	return fd, nil
}
