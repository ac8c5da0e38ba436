package measure

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leaseTime bounds the wait for the holder of a lease (fcntl F_SETLEASE) to let
// a file be opened.
const leaseTime = time.Second

var errNotRegular = errors.New("not a regular file")

// node is an object of the file system that is held without being opened
// (O_PATH): looking at a device or FIFO has no effect on it, and what was looked
// at is what is opened later.
type node struct {
	fd   int
	stat unix.Stat_t
	path string // after all symbolic links
}

func (n *node) close()           { unix.Close(n.fd) }
func (n *node) is(t uint32) bool { return n.stat.Mode&unix.S_IFMT == t }

// lookup finds name from the root, following symbolic links.
func lookup(name string) (*node, error) { return lookupAt(unix.AT_FDCWD, name, 0, "") }

// lookupIn finds an entry of a directory, following a symbolic link.
func (n *node) lookupIn(name string) (*node, error) {
	at := n.path + "/" + name
	if n.path == "/" {
		at = "/" + name
	}
	e, err := lookupAt(n.fd, name, unix.O_NOFOLLOW, at)
	if err != nil || !e.is(unix.S_IFLNK) {
		return e, err
	}
	e.close()
	return lookupAt(n.fd, name, 0, "")
}

// lookupTries bounds the looks at a name whose file is replaced meanwhile.
const lookupTries = 10

// lookupAt looks again where what was found has lost its name since: it has no path
// any more that the Policy could be held against.
func lookupAt(dir int, name string, flags int, resolved string) (n *node, err error) {
	for range lookupTries {
		fd, err := openRetry(dir, name, unix.O_PATH|flags)
		if err != nil {
			return nil, err
		}
		n := &node{fd: fd, path: resolved}
		if err := unix.Fstat(fd, &n.stat); err != nil {
			n.close()
			return nil, err
		}
		if n.path != "" {
			return n, nil
		}
		n.path, err = resolve(fd, dir, name)
		switch {
		case err != nil:
			n.close()
			return nil, err
		case !n.lost():
			return n, nil
		}
		n.close()
	}
	return nil, fmt.Errorf("%s is replaced all the time: %w", quote(name), unix.ENOENT)
}

// lost reports whether the kernel shows the path with the mark of one that is gone.
func (n *node) lost() bool {
	if !strings.HasSuffix(n.path, " (deleted)") {
		return false
	}
	var st unix.Stat_t
	return unix.Lstat(n.path, &st) != nil || objectOf(&st) != objectOf(&n.stat)
}

func openRetry(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func self(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// resolve tells where an open object lies.
func resolve(fd, dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	if n, err := unix.Readlink(self(fd), buf); err == nil && n > 0 && buf[0] == '/' {
		return string(buf[:n]), nil
	}
	// Without /proc: by name, which must still be the same object.
	if dir != unix.AT_FDCWD {
		return "", unix.ENOENT
	}
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(fd, &a), unix.Lstat(path, &b)); err != nil {
		return "", err
	}
	if a.Dev != b.Dev || a.Ino != b.Ino {
		return "", unix.ENOENT
	}
	return path, nil
}

// open opens the node's content: a regular file or, with directory set, a
// directory. O_NONBLOCK keeps a pseudo file from blocking reads; it also makes
// open fail where another process holds a lease, which is waited for.
func (n *node) open(ctx context.Context, directory bool) (int, error) {
	flags, kind, wrong := unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, uint32(unix.S_IFREG), errNotRegular
	if directory {
		flags, kind, wrong = flags|unix.O_DIRECTORY, unix.S_IFDIR, unix.ENOTDIR
	}
	if !n.is(kind) {
		return -1, wrong
	}
	for end := time.Now().Add(leaseTime); ; {
		fd, err := openRetry(unix.AT_FDCWD, self(n.fd), flags)
		if errors.Is(err, unix.ENOENT) {
			if fd, err = openRetry(unix.AT_FDCWD, n.path, flags|unix.O_NOFOLLOW); err == nil {
				var st unix.Stat_t
				if err = unix.Fstat(fd, &st); err == nil && (st.Dev != n.stat.Dev || st.Ino != n.stat.Ino) {
					err = unix.ENOENT
				}
				if err != nil {
					unix.Close(fd)
				}
			}
		}
		switch {
		case err == nil:
			return fd, nil
		case !errors.Is(err, unix.EAGAIN) || time.Now().After(end):
			return -1, err
		}
		select {
		case <-ctx.Done():
			return -1, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kernelFiles are file systems whose files the kernel makes up, and the
// directory of pseudo that they count as wherever they are mounted.
var kernelFiles = map[uint32]string{
	unix.PROC_SUPER_MAGIC:      "/proc",
	unix.SYSFS_MAGIC:           "/sys",
	unix.DEBUGFS_MAGIC:         "/sys",
	unix.TRACEFS_MAGIC:         "/sys",
	unix.SECURITYFS_MAGIC:      "/sys",
	unix.CGROUP_SUPER_MAGIC:    "/sys",
	unix.CGROUP2_SUPER_MAGIC:   "/sys",
	unix.BPF_FS_MAGIC:          "/sys",
	unix.EFIVARFS_MAGIC:        "/sys",
	unix.PSTOREFS_MAGIC:        "/sys",
	unix.SELINUX_MAGIC:         "/sys",
	unix.SMACK_MAGIC:           "/sys",
	unix.DEVPTS_SUPER_MAGIC:    "/dev",
	unix.BINFMTFS_MAGIC:        "/proc",
	unix.NSFS_MAGIC:            "/proc",
	unix.RDTGROUP_SUPER_MAGIC:  "/sys",
	unix.USBDEVICE_SUPER_MAGIC: "/proc",
}

// kernelFile returns the directory of pseudo that the node's file system counts
// as, "" for one that keeps files.
func (n *node) kernelFile() (string, error) {
	var st unix.Statfs_t
	for {
		err := unix.Fstatfs(n.fd, &st)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("file system of %s: %w", quote(n.path), err)
		}
		return kernelFiles[uint32(st.Type)], nil
	}
}
