package tun

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

// watchInterval is how often watch checks the device.
const watchInterval = time.Second

// watch notices that somebody removed the device: the kernel wakes a reader
// before it detaches the device, so that its read may never return.
func (d *device) watch() {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	for {
		select {
		case <-d.finished:
			return
		case <-t.C:
		}
		conn, err := d.dev.File().SyscallConn()
		if err == nil {
			var ifr *unix.Ifreq
			var ioctl error
			if ifr, err = unix.NewIfreq(""); err == nil {
				err = conn.Control(func(fd uintptr) { ioctl = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, ifr) })
			}
			if err == nil {
				err = ioctl
			}
		}
		if err != nil {
			d.fail(err)
			return
		}
	}
}

// fail ends the plane because of its device.
func (d *device) fail(err error) {
	if d.closing.Load() {
		return
	}
	err = fmt.Errorf("TUN device %s is gone: %w", d.name, err)
	if d.failure.CompareAndSwap(nil, &err) {
		log.Errorf(d.log, "%v", err)
		go d.close()
	}
}
