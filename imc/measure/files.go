package measure

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// Default limits of one call.
const (
	DefaultMaxFiles = 65536
	DefaultTimeout  = 60 * time.Second
)

// maxPath is PATH_MAX of Linux, without the NUL.
const maxPath = 4095

// Errors that end a call.
var (
	ErrTooManyFiles = errors.New("directory holds more files than one measurement may cover")
	errNotRegular   = errors.New("not a regular file")
)

// Files measures files; it implements pts.Measurer. The zero value is ready and
// has the default limits.
type Files struct {
	MaxFiles int           // entries looked at in one directory; 0 = DefaultMaxFiles
	Timeout  time.Duration // of one call; 0 = DefaultTimeout
}

var _ pts.Measurer = Files{}

func (f Files) limits(ctx context.Context) (context.Context, context.CancelFunc, int) {
	n, d := f.MaxFiles, f.Timeout
	if n <= 0 {
		n = DefaultMaxFiles
	}
	if d <= 0 {
		d = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, n
}

// Measure returns the digest of a file, or of the regular files of a directory
// (symbolic links to such included) whose names do not begin with a dot, in the
// order of their names, not descending. Files of a directory that cannot be
// read are left out.
func (f Files) Measure(ctx context.Context, name string, directory bool, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	ctx, cancel, limit := f.limits(ctx)
	defer cancel()
	h, ok := alg.New()
	if !ok {
		return nil, fmt.Errorf("measure %q: no measurement algorithm %v", name, alg)
	}
	if err := checkPath(name); err != nil {
		return nil, fmt.Errorf("measure %q: %w", name, err)
	}
	if !directory {
		sum, err := digest(ctx, name, h)
		if err != nil {
			return nil, fmt.Errorf("measure file %q: %w", name, classify(err))
		}
		return []pts.MeasuredFile{{Name: path.Base(name), Measurement: sum}}, nil
	}
	names, err := list(ctx, name, limit)
	if err != nil {
		return nil, fmt.Errorf("measure directory %q: %w", name, classify(err))
	}
	files := make([]pts.MeasuredFile, 0, len(names))
	for _, n := range names {
		sum, err := digest(ctx, filepath.Join(name, n), h)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("measure directory %q: %w", name, ctx.Err())
		}
		if err != nil {
			continue
		}
		files = append(files, pts.MeasuredFile{Name: n, Measurement: sum})
	}
	return files, nil
}

// Metadata returns the metadata of the files that Measure would cover; of a
// single path whatever it leads to.
func (f Files) Metadata(ctx context.Context, name string, directory bool) ([]pts.FileMetadata, error) {
	ctx, cancel, limit := f.limits(ctx)
	defer cancel()
	if err := checkPath(name); err != nil {
		return nil, fmt.Errorf("read metadata of %q: %w", name, err)
	}
	if !directory {
		m, err := metadata(name, path.Base(name))
		if err != nil {
			return nil, fmt.Errorf("read metadata of file %q: %w", name, classify(err))
		}
		return []pts.FileMetadata{m}, nil
	}
	names, err := list(ctx, name, limit)
	if err != nil {
		return nil, fmt.Errorf("read metadata of directory %q: %w", name, classify(err))
	}
	files := make([]pts.FileMetadata, 0, len(names))
	for _, n := range names {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read metadata of directory %q: %w", name, ctx.Err())
		}
		m, err := metadata(filepath.Join(name, n), n)
		if err != nil || m.Type != pts.FileRegular {
			continue
		}
		files = append(files, m)
	}
	return files, nil
}

// Symlinks returns the symbolic links of a directory that lead to directories,
// in the order of their names. A relative target is taken from the directory.
func (f Files) Symlinks(ctx context.Context, directory string) ([]patnc.Symlink, error) {
	ctx, cancel, limit := f.limits(ctx)
	defer cancel()
	if err := checkPath(directory); err != nil {
		return nil, fmt.Errorf("list symlinks of %q: %w", directory, err)
	}
	names, err := list(ctx, directory, limit)
	if err != nil {
		return nil, fmt.Errorf("list symlinks of %q: %w", directory, classify(err))
	}
	var links []patnc.Symlink
	for _, n := range names {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("list symlinks of %q: %w", directory, ctx.Err())
		}
		link := filepath.Join(directory, n)
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if i, err := os.Stat(link); err != nil || !i.IsDir() {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(directory, target)
		}
		links = append(links, patnc.Symlink{Path: link, Target: target})
	}
	return links, nil
}

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

// classify adds the cause that the protocol has an error for.
func classify(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: %w", pts.ErrNotFound, err)
	case errors.Is(err, errNotRegular), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: %w", pts.ErrInvalidPath, err)
	}
	return err
}

// list returns the sorted names of a directory that do not begin with a dot.
func list(ctx context.Context, directory string, limit int) ([]string, error) {
	fd, err := unix.Open(directory, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), directory)
	defer d.Close()
	var names []string
	for {
		chunk, err := d.Readdirnames(1024)
		for _, n := range chunk {
			if !strings.HasPrefix(n, ".") {
				names = append(names, n)
			}
		}
		switch {
		case len(names) > limit:
			return nil, fmt.Errorf("%w (%d)", ErrTooManyFiles, limit)
		case errors.Is(err, io.EOF):
			slices.Sort(names)
			return names, nil
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
}

// open opens a regular file without waiting for anything: O_NONBLOCK keeps a
// FIFO or a device from blocking open, and a pseudo file from blocking read.
func open(name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC|flags, 0)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
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

// isRegular keeps open from touching what is not a file at all: opening a
// device can have effects of its own.
func isRegular(name string) error {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotRegular
	}
	return nil
}

// digest streams a regular file through h.
func digest(ctx context.Context, name string, h hash.Hash) ([]byte, error) {
	if err := isRegular(name); err != nil {
		return nil, err
	}
	fd, err := open(name, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	h.Reset()
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n <= 0:
			return h.Sum(nil), nil
		}
		h.Write(buf[:n])
	}
}

// metadata follows symbolic links, as Measure does.
func metadata(name, reported string) (pts.FileMetadata, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return pts.FileMetadata{}, err
	}
	return pts.FileMetadata{
		Name:     reported,
		Type:     fileType(st.Mode),
		Size:     uint64(st.Size),
		Created:  time.Unix(st.Ctim.Unix()).Truncate(time.Second).UTC(),
		Modified: time.Unix(st.Mtim.Unix()).Truncate(time.Second).UTC(),
		Accessed: time.Unix(st.Atim.Unix()).Truncate(time.Second).UTC(),
		Owner:    uint64(st.Uid),
		Group:    uint64(st.Gid),
	}, nil
}

func fileType(mode uint32) pts.FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return pts.FileRegular
	case unix.S_IFDIR:
		return pts.FileDirectory
	case unix.S_IFCHR:
		return pts.FileCharDevice
	case unix.S_IFBLK:
		return pts.FileBlockDevice
	case unix.S_IFIFO:
		return pts.FileFIFO
	case unix.S_IFLNK:
		return pts.FileSymlink
	case unix.S_IFSOCK:
		return pts.FileSocket
	}
	return pts.FileOther
}
