package xfrm

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// plane is the states and policies of a connection.
type plane struct {
	cfg dataplane.Config
	log *slog.Logger // CHD

	mu   sync.Mutex
	sock dataplane.Socket // nil before Attach
	db   *databases       // nil while nothing is installed
	stop chan struct{}    // ends the watch of db
	// openDB prepares the kernel.
	openDB func(cfg dataplane.Config, addresses []netip.Addr) (*databases, error)
}

// New returns a plane without states and policies. The first Install or Trap
// removes those that an earlier run of the connection left.
func New(cfg dataplane.Config) dataplane.Plane {
	return &plane{cfg: cfg.WithDefaults(), log: log.Group(cfg.Logger, log.CHD), openDB: openDatabases}
}

// Info names no device: the packets leave through those of the host.
func (p *plane) Info() dataplane.Info {
	return dataplane.Info{Kind: dataplane.XFRM, Carries: true}
}

func (p *plane) Attach(s dataplane.Socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sock = s
	return s.Bypass()
}

// open prepares the kernel, without a CHILD_SA.
func (p *plane) open(addresses []netip.Addr) error {
	db, err := p.openDB(p.cfg, addresses)
	if err != nil {
		return fmt.Errorf("start data plane %s: %w", dataplane.XFRM, err)
	}
	p.db, p.stop = db, make(chan struct{})
	go p.watch(p.stop)
	return nil
}

func (p *plane) Trap(children ...*ike.ChildSA) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db != nil {
		return errors.New("lay a trap: the data plane carries a connection already")
	}
	if err := p.open(nil); err != nil {
		return err
	}
	for _, ch := range children {
		if err := p.db.trap(p.entry(ch)); err != nil {
			return errors.Join(fmt.Errorf("lay the trap of data plane %s: %w", dataplane.XFRM, err), p.close())
		}
	}
	return nil
}

// entry returns what the kernel needs to know of a CHILD_SA. The keys are those of
// child, not copies.
func (p *plane) entry(child *ike.ChildSA) entry {
	return entry{
		name: child.Name, spiIn: child.SPIIn, spiOut: child.SPIOut, suite: child.ESP, keys: child.Keys,
		localTS: child.LocalTS, remoteTS: child.RemoteTS, local: child.Local, remote: child.Remote, encap: child.Encap,
		config: p.cfg.ForChild(child.Name),
	}
}

func (p *plane) Install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	p.mu.Lock()
	defer p.mu.Unlock()
	if child.Keys == nil {
		return errors.New("install ESP SA: the CHILD_SA has no keys")
	}
	if p.db == nil {
		if err := p.open(dataplane.VirtualIPs(child)); err != nil {
			return err
		}
	}
	if child.Encap {
		if p.sock == nil {
			return fmt.Errorf("install ESP SA: %w", dataplane.ErrNoSocket)
		}
		if err := p.sock.KernelESP(); err != nil {
			return err
		}
	}
	return p.db.install(p.entry(child), standby)
}

func (p *plane) Activate(spiIn uint32) error {
	if db := p.databases(); db != nil {
		return db.activate(spiIn)
	}
	return nil
}

func (p *plane) databases() *databases {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db
}

func (p *plane) Remove(spiIn uint32) error {
	if db := p.databases(); db != nil {
		return db.remove(spiIn)
	}
	return nil
}

// Move leaves the states to the rekeying, which makes new ones with the new
// addresses.
func (p *plane) Move(ike.Moved) error { return dataplane.ErrRekey }

// Leftovers are states and policies, by the name of the connection, and virtual
// IPs and routes of a device that stays.
func (p *plane) Leftovers(children ...*ike.ChildSA) dataplane.Leftovers {
	l := dataplane.Leftovers{Kind: dataplane.XFRM, Name: p.cfg.Name, Table: p.cfg.Table, Priority: p.cfg.Priority}
	var remote []ike.TrafficSelector
	for _, ch := range children {
		l.Gateway = ch.Remote
		l.Addresses = append(l.Addresses, dataplane.VirtualIPs(ch)...)
		remote = append(remote, ch.RemoteTS...)
	}
	l.Routes = dataplane.Subnets(remote)
	return l
}

func (p *plane) Stats() esp.Stats {
	if db := p.databases(); db != nil {
		return db.stats()
	}
	return esp.Stats{}
}

func (p *plane) ChildStats(spiIn uint32) (esp.Stats, bool) {
	if db := p.databases(); db != nil {
		return db.childStats(spiIn)
	}
	return esp.Stats{}, false
}

func (p *plane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.close()
}

func (p *plane) close() error {
	if p.db == nil {
		return nil
	}
	close(p.stop)
	err := p.db.close()
	log.Infof(p.log, "%v", p.db.stats())
	p.db = nil
	return err
}
