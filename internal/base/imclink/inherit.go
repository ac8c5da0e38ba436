package imclink

import (
	"fmt"
	"net"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// ChildFD is the descriptor of the socket in the process that holds an IMC.
const ChildFD = 3

// confEnv names a strongswan.conf, which may be a descriptor.
const confEnv = "STRONGSWAN_CONF"

// Inherited returns the socket that the process was started with, and closes what
// else it inherited: see closeInherited.
func Inherited() (net.Conn, error) {
	closeInherited()
	f := os.NewFile(ChildFD, "parent")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", ChildFD, err)
	}
	return conn, nil
}

// EndGroup kills the processes of this process's group, this one included, if it
// leads the group: what an IMC has started ends with it.
func EndGroup() {
	if pid := os.Getpid(); unix.Getpgrp() == pid {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
}

// closeInherited closes the descriptors that a child inherited because the program
// that started it did not mark them to be closed on exec: an IMC must not hold
// the program's connections and files, nor keep them open. Descriptors that this
// process has opened itself are marked so, and stay open.
func closeInherited() {
	conf := Descriptor(os.Getenv(confEnv))
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range fds {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= ChildFD || fd == conf {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// Descriptor returns the descriptor of this process that a path names, -1 for the
// path of a file.
func Descriptor(file string) int {
	dir, name := path.Split(file)
	if dir != "/proc/self/fd/" && dir != "/dev/fd/" {
		return -1
	}
	if fd, err := strconv.Atoi(name); err == nil {
		return fd
	}
	return -1
}
