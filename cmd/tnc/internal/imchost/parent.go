package imchost

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/imclink"
)

// endWithHost ends this process once the host has: where the host forked, the socket
// is open in the new process too.
func endWithHost(pid int) {
	if fd, err := unix.PidfdOpen(pid, 0); err == nil && os.Getppid() == pid {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(p, -1); n > 0 || err != nil && err != unix.EINTR {
				break
			}
		}
	} else { // Linux before 5.3
		for os.Getppid() == pid {
			time.Sleep(time.Second)
		}
	}
	// The IMC and its TPM end in order where the stub closes the socket. Here nobody
	// is left who could say anything.
	imclink.EndGroup()
	os.Exit(0)
}
