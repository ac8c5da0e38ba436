package dlimc

import (
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// closeInherited closes, in a child, what the program that started it left open
// across exec without meaning to: an IMC must not hold a program's connections
// and files, nor keep them open when the program closes them. What this process
// has opened itself by now is marked to be closed on exec, and so is known.
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

// descriptor is the one of this process that a path names, -1 where it names a file.
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
