package tun

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// read carries packets from the device to the gateway.
func (d *device) read() {
	defer close(d.finished)
	batch := d.dev.BatchSize()
	const headroom = 64 // ESP header and IV, aligned
	const tailroom = 128
	bufs, sizes := make([][]byte, batch), make([]int, batch)
	backing := make([]byte, batch*(headroom+d.cfg.MTU+tailroom))
	size := headroom + d.cfg.MTU + tailroom
	for i := range bufs {
		bufs[i] = backing[i*size : (i+1)*size : (i+1)*size]
	}
	var lastErr string
	complain := func(err error) { // one line a kind of failure, not one a packet
		if text := err.Error(); text != lastErr && !errors.Is(err, esp.ErrSelector) && !errors.Is(err, esp.ErrClosed) {
			lastErr = text
			log.Warnf(d.esp, "sending a packet failed: %s", text)
		}
	}
	sealed := make([][]byte, 0, batch)
	var class byte // of what is in sealed
	flush := func() {
		if len(sealed) == 0 {
			return
		}
		if err := d.send(class, sealed...); err != nil {
			d.sas.Failed(len(sealed))
			complain(err)
		}
		sealed = sealed[:0]
	}
	for {
		n, err := d.dev.Read(bufs, sizes, headroom)
		for i := range n {
			sa := d.sas.Sender(bufs[i][headroom : headroom+sizes[i]])
			if sa == nil || sizes[i] == 0 {
				if sizes[i] == 0 || !d.hold(bufs[i][headroom:headroom+sizes[i]]) {
					d.sas.Failed(1)
				}
				continue
			}
			c := sa.OuterClass(bufs[i][headroom : headroom+sizes[i]])
			pkt, err := sa.SealInPlace(bufs[i], headroom, sizes[i])
			if err != nil {
				complain(err)
				continue
			}
			if c != class {
				flush()
				class = c
			}
			sealed = append(sealed, pkt)
		}
		flush()
		if err == nil {
			continue
		}
		if errors.Is(err, tun.ErrTooManySegments) {
			d.sas.Failed(1)
			continue
		}
		if d.closing.Load() {
			return
		}
		for _, end := range []error{os.ErrClosed, unix.EBADFD, unix.EFAULT, unix.EIO, unix.ENODEV, unix.EBADF} {
			if errors.Is(err, end) {
				d.fail(err)
				return
			}
		}
		// a packet that the library cannot take apart
		d.sas.Malformed(1)
		if text := err.Error(); text != lastErr {
			lastErr = text
			log.Warnf(d.log, "reading from %s failed: %s", d.name, text)
		}
	}
}
