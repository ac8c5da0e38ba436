package tun

import (
	"sync"

	"github.com/gotnc/gotnc/internal/base/log"
)

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

// receive carries packets from the gateway to the device. They are changed.
func (d *device) receive(pkts ...[]byte) { d.take(d.sas.Open, pkts) }

// receiveClass is receive for packets whose outer headers had that traffic class.
func (d *device) receiveClass(class byte, pkts ...[]byte) {
	d.take(func(pkt []byte) ([]byte, int) { return d.sas.OpenClass(pkt, class) }, pkts)
}

func (d *device) take(open func([]byte) ([]byte, int), pkts [][]byte) {
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	if len(pkts) == 1 {
		if inner, at := open(pkts[0]); inner != nil {
			d.deliver(pkts[0], inner, at)
		}
		return
	}
	for _, pkt := range pkts {
		inner, _ := open(pkt)
		if inner == nil {
			continue
		}
		d.in.add(inner)
		if len(d.in.bufs) == deliverBatch {
			d.flush()
		}
	}
	d.flush()
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

func (d *device) flush() {
	if len(d.in.bufs) == 0 {
		return
	}
	d.write(d.in.bufs)
	d.in.bufs = d.in.bufs[:0]
}

// deliver writes inner, the view of pkt from at, to the device; the library
// overwrites the octets in front of it.
func (d *device) deliver(pkt, inner []byte, at int) {
	if end := at + len(inner); at >= tunOffset && end <= len(pkt) && &pkt[at] == &inner[0] {
		d.in.one[0] = pkt[at-tunOffset : end : end]
		d.write(d.in.one[:])
		d.in.one[0] = nil
		return
	}
	d.in.add(inner)
	d.flush()
}

func (d *device) write(bufs [][]byte) {
	if _, err := d.dev.Write(bufs, tunOffset); err != nil && !d.closing.Load() {
		d.sas.Failed(1)
		log.Debugf(d.log, "writing to %s failed: %v", d.name, err)
	}
}
