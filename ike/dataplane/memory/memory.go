// Package memory carries the packets of CHILD_SAs to and from Go: ESP of ike/esp
// without a device. It needs no rights. It tries a tunnel, feeds a network stack
// in user space, and stands in for the other planes in tests. It needs a gateway
// that takes ESP in UDP.
//
// # Usage
//
//	plane := memory.New(dataplane.Config{}, func(packet []byte) { ... }) // from the gateway
//	defer plane.Close()
//	... // Attach and Handle, as package dataplane describes
//	err := plane.Send(packet) // to the gateway
package memory

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/internal/sadb"
	"github.com/gotnc/gotnc/ike/esp"
)

// Kind of the planes of this package.
const Kind dataplane.Kind = "memory"

// ErrNoChild: no CHILD_SA can send the packet.
var ErrNoChild = errors.New("no CHILD_SA is installed that may send")

// Plane is a dataplane.Plane whose packets are octets in Go.
type Plane struct {
	cfg     dataplane.Config
	receive func(packet []byte)
	sock    atomic.Pointer[dataplane.Socket] // nil before Attach

	mu    sync.Mutex
	sas   *sadb.DB // nil before the first Install
	local netip.Addr
	traps []ike.ChildSA
}

var _ dataplane.Plane = (*Plane)(nil)

// New returns a plane without CHILD_SAs. It calls receive, where it is not nil,
// for each IP packet from the gateway, one at a time; the packet is valid during
// the call.
func New(cfg dataplane.Config, receive func(packet []byte)) *Plane {
	if receive == nil {
		receive = func([]byte) {}
	}
	return &Plane{cfg: cfg, receive: receive}
}

// Info says that ESP has to travel in UDP.
func (p *Plane) Info() dataplane.Info {
	return dataplane.Info{Kind: Kind, UDPOnly: true}
}

// db returns the SAs; nil while there are none.
func (p *Plane) db() *sadb.DB {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sas
}

// Attach makes s the socket.
func (p *Plane) Attach(s dataplane.Socket) error {
	p.sock.Store(&s)
	if p.db() != nil {
		s.OnESP(p.open)
	}
	return nil
}

// Trap has Send call Config.Acquire for packets that fit the selectors while no
// CHILD_SA carries them.
func (p *Plane) Trap(children ...*ike.ChildSA) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ch := range children {
		p.traps = append(p.traps, ike.ChildSA{Name: ch.Name, LocalTS: ch.LocalTS, RemoteTS: ch.RemoteTS})
	}
	return nil
}

// Install adds a CHILD_SA.
func (p *Plane) Install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	if !child.Encap {
		return fmt.Errorf("%w, which the data plane %s needs", dataplane.ErrUDP, Kind)
	}
	s := p.sock.Load()
	if s == nil {
		return dataplane.ErrNoSocket
	}
	p.mu.Lock()
	first := p.sas == nil
	if first {
		p.sas = sadb.New(sadb.Config{Logger: p.cfg.Logger, Authenticated: func() { (*p.sock.Load()).Alive() }})
	}
	db := p.sas
	p.local = child.Local.Addr().Unmap().WithZone("")
	p.mu.Unlock()
	sa, err := db.NewSA(child, p.cfg.ForChild(child.Name).ReplayWindow, standby)
	if err != nil {
		return err
	}
	if err := db.Add(sa); err != nil {
		return err
	}
	if first {
		(*s).OnESP(p.open)
	}
	if early := db.TakeEarly(child.SPIIn); len(early) > 0 {
		p.open(early...)
	}
	return nil
}

// open delivers the IP packets in ESP packets.
func (p *Plane) open(pkts ...[]byte) {
	db := p.db()
	if db == nil {
		return
	}
	for _, pkt := range pkts {
		if inner, _ := db.Open(pkt); inner != nil {
			p.receive(inner)
		}
	}
}

// Send carries an IP packet to the gateway.
func (p *Plane) Send(packet []byte) error {
	db := p.db()
	var sa *esp.SA
	if db != nil {
		sa = db.Sender(packet)
	}
	if sa == nil {
		p.acquire(packet)
		return ErrNoChild
	}
	pkt, err := sa.Seal(nil, packet)
	if err != nil {
		return err
	}
	if err := (*p.sock.Load()).SendESP(pkt); err != nil {
		db.Failed(1)
		return fmt.Errorf("send ESP packet: %w", err)
	}
	return nil
}

func (p *Plane) acquire(packet []byte) {
	p.mu.Lock()
	trapped := slices.ContainsFunc(p.traps, func(c ike.ChildSA) bool { return esp.Matches(packet, c.LocalTS, c.RemoteTS) })
	p.mu.Unlock()
	if trapped && p.cfg.Acquire != nil {
		local, remote, _ := esp.Selectors(packet)
		p.cfg.Acquire(ike.Trigger{Local: local, Remote: remote})
	}
}

// Activate lets the CHILD_SA send.
func (p *Plane) Activate(spiIn uint32) error {
	if db := p.db(); db != nil {
		db.Activate(spiIn)
	}
	return nil
}

// Remove drops the CHILD_SA.
func (p *Plane) Remove(spiIn uint32) error {
	if db := p.db(); db != nil {
		db.Remove(spiIn)
	}
	return nil
}

// Move follows the local address in the selectors.
func (p *Plane) Move(e ike.Moved) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, to := p.local, e.Path.Local.Addr().Unmap().WithZone("")
	if p.sas != nil && from.IsValid() && to.IsValid() {
		p.sas.Readdress(from, to)
	}
	p.local = to
	return nil
}

// Leftovers are none.
func (p *Plane) Leftovers(...*ike.ChildSA) dataplane.Leftovers { return dataplane.Leftovers{} }

// Stats sums up all CHILD_SAs so far.
func (p *Plane) Stats() esp.Stats {
	if db := p.db(); db != nil {
		return db.Stats()
	}
	return esp.Stats{}
}

// ChildStats is of one CHILD_SA.
func (p *Plane) ChildStats(spiIn uint32) (esp.Stats, bool) {
	if db := p.db(); db != nil {
		return db.ChildStats(spiIn)
	}
	return esp.Stats{}, false
}

// Close zeroes all keys.
func (p *Plane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sas != nil {
		p.sas.Close()
	}
	p.sas, p.traps = nil, nil
	return nil
}
