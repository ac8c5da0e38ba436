package tun

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// plane makes a device for the first CHILD_SA, or for a trap.
type plane struct {
	cfg  dataplane.Config
	log  *slog.Logger                     // CHD
	sock atomic.Pointer[dataplane.Socket] // nil before Attach

	mu  sync.Mutex
	dev *device // nil while nothing is carried
}

// New returns a plane without a device: the first Install or Trap makes it, in
// the network namespace of the calling thread.
func New(cfg dataplane.Config) dataplane.Plane {
	cfg = cfg.WithDefaults()
	if cfg.Device == "" {
		cfg.Device = "ipsec%d"
	}
	return &plane{cfg: cfg, log: log.Group(cfg.Logger, log.CHD)}
}

func (p *plane) Info() dataplane.Info {
	i := dataplane.Info{Kind: dataplane.TUN, Carries: true, UDPOnly: true}
	if d := p.device(); d != nil {
		i.Device = d.name
	}
	return i
}

func (p *plane) device() *device {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dev
}

func (p *plane) Attach(s dataplane.Socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sock.Store(&s)
	if p.dev != nil {
		p.receive(s)
	}
	return nil
}

// receive lets packets of the socket in.
func (p *plane) receive(s dataplane.Socket) {
	if s, ok := s.(dataplane.ClassSocket); ok {
		s.OnESPClass(p.dev.receiveClass)
		p.clearDF(s)
		return
	}
	s.OnESP(p.dev.receive)
}

// clearDF does what copy_df = no says. One socket carries all CHILD_SAs.
func (p *plane) clearDF(s dataplane.ClassSocket) {
	no := p.cfg.Child.Outer.NoDF
	for _, c := range p.cfg.Children {
		no = no || c.Outer.NoDF
	}
	if !no {
		return
	}
	if err := s.ClearDF(); err != nil {
		log.Warnf(p.log, "copy_df = no has no effect: %v", err)
	}
}

// send sends through the socket of now.
func (p *plane) send(class byte, pkts ...[]byte) error {
	s := p.sock.Load()
	if s == nil {
		return dataplane.ErrNoSocket
	}
	if s, ok := (*s).(dataplane.ClassSocket); ok {
		return s.SendESPClass(class, pkts...)
	}
	return (*s).SendESP(pkts...)
}

func (p *plane) authenticated() {
	if s := p.sock.Load(); s != nil {
		(*s).Alive()
	}
}

func (p *plane) Trap(children ...*ike.ChildSA) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := tunnel{trap: true}
	for _, ch := range children {
		t.localTS, t.remoteTS = append(t.localTS, ch.LocalTS...), append(t.remoteTS, ch.RemoteTS...)
		t.local, t.gateway = ch.Local, ch.Remote
	}
	if p.dev != nil {
		return errors.New("lay a trap: the data plane carries a connection already")
	}
	if len(t.remoteTS) == 0 {
		return errors.New("lay a trap: traffic selectors are missing")
	}
	return p.open(t)
}

func (p *plane) Install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	p.mu.Lock()
	defer p.mu.Unlock()
	window := p.cfg.ForChild(child.Name).ReplayWindow
	if p.dev != nil {
		return p.dev.install(child, window, standby)
	}
	if !child.Encap {
		return fmt.Errorf("%w, which the data plane %s needs", dataplane.ErrUDP, dataplane.TUN)
	}
	s := p.sock.Load()
	if s == nil {
		return fmt.Errorf("start data plane %s: %w", dataplane.TUN, dataplane.ErrNoSocket)
	}
	err := p.open(tunnel{
		child: child, replayWindow: window, standby: standby, addresses: dataplane.VirtualIPs(child), local: child.Local, gateway: child.Remote,
		localTS: child.LocalTS, remoteTS: child.RemoteTS,
	})
	if err != nil {
		return err
	}
	p.receive(*s)
	return nil
}

// open makes the device.
func (p *plane) open(t tunnel) error {
	d, err := openDevice(p.cfg, t, p.send, p.authenticated)
	if err != nil {
		return fmt.Errorf("start data plane %s: %w", dataplane.TUN, err)
	}
	p.dev = d
	return nil
}

func (p *plane) Activate(spiIn uint32) error {
	if d := p.device(); d != nil {
		d.sas.Activate(spiIn)
	}
	return nil
}

func (p *plane) Remove(spiIn uint32) error {
	if d := p.device(); d != nil {
		d.sas.Remove(spiIn)
	}
	return nil
}

func (p *plane) Move(e ike.Moved) error {
	if d := p.device(); d != nil {
		return d.move(e.Path.Local, e.Path.Remote)
	}
	return nil
}

// Leftovers are the rules alone: device and routes go with the process.
func (p *plane) Leftovers(children ...*ike.ChildSA) dataplane.Leftovers {
	l := dataplane.Leftovers{Kind: dataplane.TUN, Name: p.cfg.Name, Table: p.cfg.Table, Priority: p.cfg.Priority}
	for _, ch := range children {
		l.Gateway = ch.Remote
	}
	return l
}

func (p *plane) Stats() esp.Stats {
	if d := p.device(); d != nil {
		return d.sas.Stats()
	}
	return esp.Stats{}
}

func (p *plane) ChildStats(spiIn uint32) (esp.Stats, bool) {
	if d := p.device(); d != nil {
		return d.sas.ChildStats(spiIn)
	}
	return esp.Stats{}, false
}

func (p *plane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dev == nil {
		return nil
	}
	log.Infof(p.log, "%v", p.dev.sas.Stats())
	err := p.dev.close()
	p.dev = nil
	return err
}
