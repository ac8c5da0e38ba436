package tun

import (
	"bytes"
	"sync"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
)

// Limits of the packets that wait for their SA: what a connection begins with,
// not what it carries, and for as long as somebody waits for an answer.
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
func (d *device) hold(packet []byte) bool {
	if d.cfg.Acquire == nil || !d.trapped(packet) {
		return false
	}
	local, remote, ok := esp.Selectors(packet)
	if !ok || !d.cfg.Acquire(ike.Trigger{Local: local, Remote: remote}) {
		return false
	}
	d.held.mu.Lock()
	defer d.held.mu.Unlock()
	if len(d.held.packets) > 0 && time.Since(d.held.since) > heldFor {
		d.sas.Failed(len(d.held.packets))
		d.held.packets = nil
	}
	if len(d.held.packets) >= maxHeld {
		return false
	}
	if len(d.held.packets) == 0 {
		d.held.since = time.Now()
	}
	d.held.packets = append(d.held.packets, bytes.Clone(packet))
	return true
}

// trapped reports whether a packet is one that the trap is for. Without a trap
// every one is.
func (d *device) trapped(packet []byte) bool {
	return !d.tun.trap || esp.Matches(packet, d.tun.localTS, d.tun.remoteTS)
}

// release sends the packets that waited, as far as the present SAs carry them.
func (d *device) release() {
	d.held.mu.Lock()
	packets := d.held.packets
	d.held.packets = nil
	late := time.Since(d.held.since) > heldFor
	d.held.mu.Unlock()
	if late {
		d.sas.Failed(len(packets))
		return
	}
	for i, b := range packets {
		sa := d.sas.Sender(b)
		if sa == nil { // it is on standby: they wait on
			d.held.mu.Lock()
			d.held.packets = append(packets[i:], d.held.packets...)
			d.held.mu.Unlock()
			return
		}
		class := sa.OuterClass(b)
		pkt, err := sa.Seal(nil, b)
		if err == nil {
			err = d.send(class, pkt)
		}
		if err != nil {
			d.sas.Failed(1)
		}
	}
}
