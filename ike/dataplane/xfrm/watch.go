package xfrm

import (
	"time"

	"github.com/gotnc/gotnc/ike/esp"
)

// watchInterval is how often the kernel is asked what its states carried.
const watchInterval = 5 * time.Second

// watch tells the IKE_SA of packets that the kernel sent and took, until stop is
// closed: DPD is put off by them, and ESP that has become silent shows.
func (p *plane) watch(stop <-chan struct{}) {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	var before esp.Stats
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			before = p.tell(before)
		}
	}
}

// tell tells the IKE_SA of packets since before, and returns what there is now.
func (p *plane) tell(before esp.Stats) esp.Stats {
	p.mu.Lock()
	db, sock := p.db, p.sock
	p.mu.Unlock()
	if db == nil || sock == nil {
		return before
	}
	now := db.stats()
	if now.OutPackets > before.OutPackets {
		sock.Sent()
	}
	if now.InPackets > before.InPackets {
		sock.Alive()
	}
	return now
}
