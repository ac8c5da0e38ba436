package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/internal/base/confine"
)

// lasting are the capabilities that tnc up keeps, since a connection that was lost
// needs them again: for devices, routes, ESP in the kernel and the ports of IKE; for
// resolv.conf, and files and TPMs that IMCs read; and for the users of their
// processes, which it ends.
var lasting = confine.CapSet(unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE,
	unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_KILL)

// protect keeps secrets in memory from core dumps, other processes of the user, and
// where it may from the swap area. For tnc up it drops capabilities for good: it
// starts this program again, before which nothing has been read.
func protect() {
	confine.NoDump()
	if slices.Contains(os.Args[1:min(2, len(os.Args))], "up") && os.Geteuid() == 0 {
		if err := dropPrivileges(); err != nil {
			fmt.Fprintf(os.Stderr, "tnc: the capabilities that it does not need stay: %v\n", err)
		}
	}
	confine.LockMemory()
}

// dropPrivileges returns where there is nothing to drop, or after a failure.
func dropPrivileges() error {
	if confined, err := confine.Was(); confined || confine.Permitted()&^lasting == 0 {
		return err
	}
	f, err := confine.Service("tnc", lasting).File()
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), fmt.Sprintf("%s=%d", confine.Variable, f.Fd()), client.NamespaceVariable()))
}
