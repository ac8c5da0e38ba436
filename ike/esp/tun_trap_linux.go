package esp

import (
	"bytes"
	"sync"
	"time"
)

// Caps on the packets that wait for their SA: what a connection begins with, not
// what it carries, and for as long as somebody waits for an answer.
const (
	maxHeld = 32
	heldFor = 30 * time.Second
)

// held is the packets that wait for an SA, the first ones first.
type held struct {
	mu      sync.Mutex
	packets [][]byte
	since   time.Time // of the first one
}

// hold keeps a packet that no SA can send, where Acquire makes one. It reports
// whether it is kept.
func (p *tunPlane) hold(packet []byte) bool {
	if p.cfg.Acquire == nil || !p.trapped(packet) || !p.cfg.Acquire() {
		return false
	}
	p.held.mu.Lock()
	defer p.held.mu.Unlock()
	if len(p.held.packets) > 0 && time.Since(p.held.since) > heldFor {
		p.counters.failed.Add(uint64(len(p.held.packets)))
		p.held.packets = nil
	}
	if len(p.held.packets) >= maxHeld {
		return false
	}
	if len(p.held.packets) == 0 {
		p.held.since = time.Now()
	}
	p.held.packets = append(p.held.packets, bytes.Clone(packet))
	return true
}

// trapped reports whether a packet is one that the trap is for. Without
// selectors every one is.
func (p *tunPlane) trapped(packet []byte) bool {
	if len(p.cfg.TrapRemote) == 0 {
		return true
	}
	_, f, err := parseIP(packet)
	return err == nil && anyMatches(p.cfg.TrapRemote, f.dst, &f, f.dport) &&
		(len(p.cfg.TrapLocal) == 0 || anyMatches(p.cfg.TrapLocal, f.src, &f, f.sport))
}

// release sends the packets that waited, as far as the SAs of now carry them.
func (p *tunPlane) release() {
	p.held.mu.Lock()
	packets := p.held.packets
	p.held.packets = nil
	late := time.Since(p.held.since) > heldFor
	p.held.mu.Unlock()
	if late {
		p.counters.failed.Add(uint64(len(packets)))
		return
	}
	for i, b := range packets {
		sa := p.sender(b)
		if sa == nil { // it stands by: they wait on
			p.held.mu.Lock()
			p.held.packets = append(packets[i:], p.held.packets...)
			p.held.mu.Unlock()
			return
		}
		pkt, err := sa.Seal(nil, b)
		if err == nil {
			err = p.cfg.Send(pkt)
		}
		if err != nil {
			p.counters.failed.Add(1)
		}
	}
}
