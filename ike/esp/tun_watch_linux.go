package esp

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// watchInterval is how often the device is looked for.
const watchInterval = time.Second

// watch notices that somebody removed the device: the kernel wakes a reader
// before it detaches the device, so that read may sleep on for ever.
func (p *tunPlane) watch() {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	for {
		select {
		case <-p.finished:
			return
		case <-t.C:
		}
		conn, err := p.dev.File().SyscallConn()
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
			p.fail(err)
			return
		}
	}
}

// fail ends the plane because of its device.
func (p *tunPlane) fail(err error) {
	if p.closing.Load() {
		return
	}
	err = fmt.Errorf("TUN device %s is gone: %w", p.name, err)
	if p.failure.CompareAndSwap(nil, &err) {
		p.log.Error(err.Error())
		go p.Close()
	}
}
