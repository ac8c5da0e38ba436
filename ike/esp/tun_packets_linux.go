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
			if err == nil {
				if err = p.cfg.Send(pkt); err != nil {
					p.counters.failed.Add(1)
				}
			}
			// One line a kind of failure, not one a packet.
			if err != nil && !errors.Is(err, ErrSelector) && !errors.Is(err, ErrClosed) {
				if text := err.Error(); text != lastErr {
					lastErr = text
					p.esp.Warn("sending a packet failed: " + text)
				}
			}
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

// Receive carries a packet from the gateway to the device.
func (p *tunPlane) Receive(pkt []byte) {
	spi, ok := SPI(pkt)
	if !ok {
		p.counters.malformed.Add(1)
		return
	}
	for _, sa := range *p.sas.Load() {
		if sa.spiIn != spi {
			continue
		}
		inner, authentic, err := sa.openCounted(pkt)
		if authentic && p.cfg.Authenticated != nil {
			p.cfg.Authenticated()
		}
		if err != nil {
			p.esp.Debug("dropped a packet: " + err.Error())
			return
		}
		if err := p.deliver(pkt, inner, headerSize+sa.ivIn); err != nil && !p.closing.Load() {
			p.counters.failed.Add(1)
			p.log.Debug("writing to " + p.name + " failed: " + err.Error())
		}
		return
	}
	p.counters.unknown.Add(1)
}

// deliver writes inner, the view of pkt from at, to the device; the library
// overwrites the octets in front of it.
func (p *tunPlane) deliver(pkt, inner []byte, at int) error {
	if end := at + len(inner); at >= tunOffset && end <= len(pkt) && &pkt[at] == &inner[0] {
		_, err := p.dev.Write([][]byte{pkt[at-tunOffset : end : end]}, tunOffset)
		return err
	}
	buf := make([]byte, tunOffset+len(inner))
	copy(buf[tunOffset:], inner)
	_, err := p.dev.Write([][]byte{buf}, tunOffset)
	return err
}
