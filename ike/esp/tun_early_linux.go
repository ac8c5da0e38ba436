package esp

import (
	"bytes"
	"sync"
	"time"
)

// A gateway sends on a CHILD_SA as soon as it has answered IKE_AUTH; its first
// packets may come before that answer is understood here.
const (
	maxEarly = 32              // packets
	earlyFor = 2 * time.Second // how long they are of use
)

// early is packets with SPIs that no SA has yet, the oldest first.
type early struct {
	mu      sync.Mutex
	packets []earlyPacket
}

type earlyPacket struct {
	spi  uint32
	at   time.Time
	data []byte
}

// keepEarly keeps a packet that no SA is there for; it counts as one with an
// unknown SPI until its SA comes.
func (p *tunPlane) keepEarly(spi uint32, pkt []byte) {
	p.counters.unknown.Add(1)
	p.early.mu.Lock()
	defer p.early.mu.Unlock()
	if len(p.early.packets) == maxEarly {
		p.early.packets = append(p.early.packets[:0], p.early.packets[1:]...)
	}
	p.early.packets = append(p.early.packets, earlyPacket{spi, time.Now(), bytes.Clone(pkt)})
}

// receiveEarly delivers the packets that came before their SA.
func (p *tunPlane) receiveEarly(spi uint32) {
	var pkts [][]byte
	p.early.mu.Lock()
	rest := p.early.packets[:0]
	for _, e := range p.early.packets {
		switch {
		case time.Since(e.at) > earlyFor:
		case e.spi == spi:
			pkts = append(pkts, e.data)
		default:
			rest = append(rest, e)
		}
	}
	clear(p.early.packets[len(rest):])
	p.early.packets = rest
	p.early.mu.Unlock()
	if len(pkts) > 0 {
		p.counters.unknown.Add(-uint64(len(pkts)))
		p.Receive(pkts...)
	}
}
