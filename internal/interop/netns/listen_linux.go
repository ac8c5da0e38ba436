package netns

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Listen opens a TCP listener of this process inside a namespace of New.
func Listen(ns, addr string) (l net.Listener, err error) {
	err = within(ns, func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	return l, err
}

// Dial opens a TCP connection of this process inside a namespace of New; addr is an
// IP address and a port.
func Dial(ns, addr string) (c net.Conn, err error) {
	err = within(ns, func() (err error) {
		c, err = net.Dial("tcp", addr)
		return err
	})
	return c, err
}

// within calls f inside a namespace of New. The thread goes there and back: to let
// it end in there would kill the children that it started with Pdeathsig.
func within(ns string, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	there, err := os.Open("/var/run/netns/" + ns)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", ns, err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return fmt.Errorf("leave namespace %s: %w", ns, back) // the thread stays locked, nobody else gets it
	}
	runtime.UnlockOSThread()
	return err
}
