package dlimc

import (
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// closeInherited closes the descriptors that a child inherited because the program
// that started it did not mark them to be closed on exec: an IMC must not hold
// the program's connections and files, nor keep them open. Descriptors that this
// process has opened itself are marked so, and stay open.
func closeInherited() {
	conf := descriptor(os.Getenv(confEnv))
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range fds {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= childFD || fd == conf {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// descriptor returns the descriptor of this process that a path names, -1 for the
// path of a file.
func descriptor(file string) int {
	dir, name := path.Split(file)
	if dir != "/proc/self/fd/" && dir != "/dev/fd/" {
		return -1
	}
	if fd, err := strconv.Atoi(name); err == nil {
		return fd
	}
	return -1
}
