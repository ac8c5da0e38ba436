package dataplanetest

import (
	"fmt"
	"sync"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/esp"
)

// Plane is a dataplane.Plane that records its calls and fails where a test wants
// it to. It carries no packets; package memory has one that does.
type Plane struct {
	// Describes is what Info returns; set before use.
	Describes dataplane.Info
	// Fail, where set, is asked for the error of each call, by the line that Calls
	// would have for it.
	Fail func(call string) error
	// Left is what Leftovers returns.
	Left dataplane.Leftovers

	mu        sync.Mutex
	calls     []string
	installed map[uint32]bool // by inbound SPI; true = on standby
}

var _ dataplane.Plane = (*Plane)(nil)

// Calls returns the calls so far: "attach", "trap home", "install home c0000001",
// "install home c0000001 standby", "activate c0000001", "remove c0000001", "move
// 192.0.2.9:4500", "close".
func (p *Plane) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...)
}

// Installed reports whether a CHILD_SA is installed, and on standby.
func (p *Plane) Installed(spiIn uint32) (installed, standby bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	standby, installed = p.installed[spiIn]
	return installed, standby
}

// record notes a call, and runs then under the lock where it does not fail.
func (p *Plane) record(then func(), format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
	if p.Fail != nil {
		if err := p.Fail(call); err != nil {
			return err
		}
	}
	then()
	return nil
}

func nothing() {}

// Info returns Describes.
func (p *Plane) Info() dataplane.Info { return p.Describes }

// Attach records.
func (p *Plane) Attach(dataplane.Socket) error { return p.record(nothing, "attach") }

// Trap records.
func (p *Plane) Trap(children ...*ike.ChildSA) error {
	for _, ch := range children {
		if err := p.record(nothing, "trap %s", ch.Name); err != nil {
			return err
		}
	}
	return nil
}

// Install records, and zeroes the keys.
func (p *Plane) Install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	call := fmt.Sprintf("install %s %08x", child.Name, child.SPIIn)
	if standby {
		call += " standby"
	}
	return p.record(func() {
		if p.installed == nil {
			p.installed = map[uint32]bool{}
		}
		p.installed[child.SPIIn] = standby
	}, "%s", call)
}

// Activate records.
func (p *Plane) Activate(spiIn uint32) error {
	return p.record(func() {
		if _, ok := p.installed[spiIn]; ok {
			p.installed[spiIn] = false
		}
	}, "activate %08x", spiIn)
}

// Remove records.
func (p *Plane) Remove(spiIn uint32) error {
	return p.record(func() { delete(p.installed, spiIn) }, "remove %08x", spiIn)
}

// Move records.
func (p *Plane) Move(e ike.Moved) error { return p.record(nothing, "move %v", e.Path.Local) }

// Leftovers returns Left.
func (p *Plane) Leftovers(...*ike.ChildSA) dataplane.Leftovers { return p.Left }

// Stats are zero.
func (p *Plane) Stats() esp.Stats { return esp.Stats{} }

// ChildStats are zero.
func (p *Plane) ChildStats(spiIn uint32) (esp.Stats, bool) {
	installed, _ := p.Installed(spiIn)
	return esp.Stats{}, installed
}

// Close records, and forgets what is installed.
func (p *Plane) Close() error { return p.record(func() { p.installed = nil }, "close") }
