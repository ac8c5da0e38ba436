package esp

import "sync"

// deliverBatch is how many packets go to the device in one piece: a run of TCP
// segments, which the library joins for the kernel.
const deliverBatch = 64

// inbound is the packets on their way to the device.
type inbound struct {
	mu      sync.Mutex
	backing [deliverBatch][]byte // with room for what the library joins
	bufs    [][]byte
	one     [1][]byte
}

// Receive carries packets from the gateway to the device.
func (p *tunPlane) Receive(pkts ...[]byte) {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	if len(pkts) == 1 {
		if inner, at := p.openPacket(pkts[0]); inner != nil {
			p.deliver(pkts[0], inner, at)
		}
		return
	}
	for _, pkt := range pkts {
		inner, _ := p.openPacket(pkt)
		if inner == nil {
			continue
		}
		p.in.add(inner)
		if len(p.in.bufs) == deliverBatch {
			p.flush()
		}
	}
	p.flush()
}

// openPacket decrypts a packet in place; nil where it is dropped. At is where
// the inner packet stands in it.
func (p *tunPlane) openPacket(pkt []byte) (inner []byte, at int) {
	spi, ok := SPI(pkt)
	if !ok {
		p.counters.malformed.Add(1)
		return nil, 0
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
			return nil, 0
		}
		return inner, headerSize + sa.ivIn
	}
	p.keepEarly(spi, pkt)
	return nil, 0
}

// add copies a packet behind the room for the library's header.
func (q *inbound) add(packet []byte) {
	n := len(q.bufs)
	if q.backing[n] == nil {
		q.backing[n] = make([]byte, tunOffset+maxMTU)
	}
	b := q.backing[n][:tunOffset+len(packet)]
	copy(b[tunOffset:], packet)
	q.bufs = append(q.bufs, b)
}

func (p *tunPlane) flush() {
	if len(p.in.bufs) == 0 {
		return
	}
	p.write(p.in.bufs)
	p.in.bufs = p.in.bufs[:0]
}

// deliver writes inner, the view of pkt from at, to the device; the library
// overwrites the octets in front of it.
func (p *tunPlane) deliver(pkt, inner []byte, at int) {
	if end := at + len(inner); at >= tunOffset && end <= len(pkt) && &pkt[at] == &inner[0] {
		p.in.one[0] = pkt[at-tunOffset : end : end]
		p.write(p.in.one[:])
		p.in.one[0] = nil
		return
	}
	p.in.add(inner)
	p.flush()
}

func (p *tunPlane) write(bufs [][]byte) {
	if _, err := p.dev.Write(bufs, tunOffset); err != nil && !p.closing.Load() {
		p.counters.failed.Add(1)
		p.log.Debug("writing to " + p.name + " failed: " + err.Error())
	}
}
