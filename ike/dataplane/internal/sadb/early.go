package sadb

import (
	"bytes"
	"sync"
	"time"
)

// A gateway sends on a CHILD_SA as soon as it has answered IKE_AUTH; its first
// packets may arrive before that answer is processed here.
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

// keep copies a packet that has no SA; the oldest one makes room for it.
func (e *early) keep(spi uint32, pkt []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.packets) == maxEarly {
		e.packets = append(e.packets[:0], e.packets[1:]...)
	}
	e.packets = append(e.packets, earlyPacket{spi, time.Now(), bytes.Clone(pkt)})
}

// take removes the packets of an SPI and returns those that are of use.
func (e *early) take(spi uint32) (pkts [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rest := e.packets[:0]
	for _, p := range e.packets {
		switch {
		case time.Since(p.at) > earlyFor:
		case p.spi == spi:
			pkts = append(pkts, p.data)
		default:
			rest = append(rest, p)
		}
	}
	clear(e.packets[len(rest):])
	e.packets = rest
	return pkts
}
