package esp

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// read carries packets from the device to the gateway.
func (p *tunPlane) read() {
	defer close(p.finished)
	batch := p.dev.BatchSize()
	const headroom = 64 // ESP header and IV, aligned
	const tailroom = 128
	bufs, sizes := make([][]byte, batch), make([]int, batch)
	backing := make([]byte, batch*(headroom+p.cfg.MTU+tailroom))
	size := headroom + p.cfg.MTU + tailroom
	for i := range bufs {
		bufs[i] = backing[i*size : (i+1)*size : (i+1)*size]
	}
	var lastErr string
	complain := func(err error) { // one line a kind of failure, not one a packet
		if text := err.Error(); text != lastErr && !errors.Is(err, ErrSelector) && !errors.Is(err, ErrClosed) {
			lastErr = text
			p.esp.Warn("sending a packet failed: " + text)
		}
	}
	sealed := make([][]byte, 0, batch)
	for {
		n, err := p.dev.Read(bufs, sizes, headroom)
		for i := range n {
			sa := p.sender(bufs[i][headroom : headroom+sizes[i]])
			if sa == nil || sizes[i] == 0 {
				if sizes[i] == 0 || !p.hold(bufs[i][headroom:headroom+sizes[i]]) {
					p.counters.failed.Add(1)
				}
				continue
			}
			pkt, err := sa.SealInPlace(bufs[i], headroom, sizes[i])
			if err != nil {
				complain(err)
				continue
			}
			sealed = append(sealed, pkt)
		}
		if len(sealed) > 0 {
			if err := p.cfg.Send(sealed...); err != nil {
				p.counters.failed.Add(uint64(len(sealed)))
				complain(err)
			}
			sealed = sealed[:0]
		}
		if err == nil {
			continue
		}
		if errors.Is(err, tun.ErrTooManySegments) {
			p.counters.failed.Add(1)
			continue
		}
		if p.closing.Load() {
			return
		}
		for _, end := range []error{os.ErrClosed, unix.EBADFD, unix.EFAULT, unix.EIO, unix.ENODEV, unix.EBADF} {
			if errors.Is(err, end) {
				p.fail(err)
				return
			}
		}
		// a packet that the library cannot take apart
		p.counters.malformed.Add(1)
		if text := err.Error(); text != lastErr {
			lastErr = text
			p.log.Warn("reading from " + p.name + " failed: " + text)
		}
	}
}

// sender returns the newest SA that may send packet; where none fits, the
// newest that may send at all counts the drop. Nil where there is none.
func (p *tunPlane) sender(packet []byte) (first *SA) {
	sas := *p.sas.Load()
	for _, sa := range sas {
		if sa.standby.Load() {
			continue
		}
		if first == nil {
			first = sa
			if len(sas) == 1 {
				return sa
			}
		}
		if sa.Carries(packet) {
			return sa
		}
	}
	return first
}
