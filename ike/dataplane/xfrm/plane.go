package xfrm

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Child is a CHILD_SA for the kernel. The keys stay the caller's.
type Child struct {
	Name              string
	SPIIn, SPIOut     uint32
	Suite             crypto.Suite
	Keys              *crypto.ChildKeys // Ei and Ai protect what we send
	LocalTS, RemoteTS []esp.Selector
	Local, Remote     netip.AddrPort
	Encap             bool // ESP in UDP between Local and Remote
	Standby           bool // only receives, until Activate
	ReplayWindow      int
	IfIDIn, IfIDOut   uint32
	MarkIn, MarkOut   esp.Mark
}

// Config of a Plane.
type Config struct {
	Logger      *slog.Logger
	Name        string // of the connection: what an earlier run of it left is removed
	Addresses   []netip.Addr
	NoRoutes    bool
	NoAddresses bool
	Table       int
	Priority    int
	// Acquire, where set, hears of packets that fit a policy whose states are
	// missing, from a goroutine of the Plane. It has to be quick.
	Acquire func()
}

// Plane is the CHILD_SAs of a connection in the kernel. It is safe for
// concurrent use.
type Plane struct {
	cfg   Config
	log   *slog.Logger
	send  func(request) error
	usage func(State) usage // nil counts nothing
	reqID uint32

	mu       sync.Mutex
	states   map[uint32][]State // by inbound SPI: inbound, outbound
	names    map[string]uint32  // of CHILD_SAs, by number
	waiting  map[uint32]Child   // whose outbound half stands by
	policies []Policy
	undo     []func() error
	routes   *routing  // nil: none are made
	gone     esp.Stats // of removed states
	acquires *acquires // nil without Config.Acquire
	closed   bool
}

// Open removes what an earlier run of the same connection left, and installs
// the virtual IPs.
func Open(cfg Config) (*Plane, error) {
	p := &Plane{cfg: cfg, log: log.Group(cfg.Logger, log.KNL), send: execute, usage: kernelUsage, routes: &routing{done: map[netip.Prefix]netip.Addr{}}, reqID: reqIDOf(cfg.Name), states: map[uint32][]State{}, waiting: map[uint32]Child{}}
	if n, err := p.sweep(); err != nil {
		return nil, fmt.Errorf("remove what an earlier run left in the kernel: %w", err)
	} else if n > 0 {
		log.Infof(p.log, "removed %d states and policies of an earlier run", n)
	}
	if cfg.Acquire != nil {
		a, err := listenAcquires(p.reqID, cfg.Acquire)
		if err != nil {
			return nil, fmt.Errorf("listen for what the kernel asks for: %w", err)
		}
		p.acquires = a
	}
	return p, nil
}

// Install puts a CHILD_SA into the kernel: its states, and the policies where
// they do not stand yet.
func (p *Plane) Install(c Child) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return esp.ErrClosed
	}
	in := p.state(c, c.Remote, c.Local, c.SPIIn)
	in.Encr, in.Integ, in.Mark, in.IfID = c.Keys.Er, c.Keys.Ar, c.MarkIn, c.IfIDIn
	if err := p.add(in); err != nil {
		return fmt.Errorf("install inbound ESP SA %08x: %w", c.SPIIn, err)
	}
	p.states[c.SPIIn] = []State{bare(in)}
	if c.Standby {
		keys := *c.Keys
		keys.Ei, keys.Ai = append([]byte(nil), keys.Ei...), append([]byte(nil), keys.Ai...)
		keys.Er, keys.Ar = nil, nil
		c.Keys = &keys
		p.waiting[c.SPIIn] = c
		return nil
	}
	return p.outbound(c)
}

func (p *Plane) state(c Child, from, to netip.AddrPort, spi uint32) State {
	s := State{Src: from.Addr(), Dst: to.Addr(), SPI: spi, ReqID: p.reqIDFor(c.Name), Suite: c.Suite, ReplayWindow: c.ReplayWindow}
	if c.Encap {
		s.SrcPort, s.DstPort = from.Port(), to.Port()
	}
	return s
}

// bare is s without keys, for its removal.
func bare(s State) State {
	s.Encr, s.Integ = nil, nil
	return s
}

func (p *Plane) add(s State) error {
	r, err := newState(s)
	if err != nil {
		return err
	}
	defer clear(r.body)
	err = p.send(r)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: %w", ErrNoESP, err)
	}
	return err
}

func (p *Plane) outbound(c Child) error {
	out := p.state(c, c.Local, c.Remote, c.SPIOut)
	out.Encr, out.Integ, out.Mark, out.IfID, out.ReplayWindow = c.Keys.Ei, c.Keys.Ai, c.MarkOut, c.IfIDOut, 0
	if err := p.add(out); err != nil {
		return fmt.Errorf("install outbound ESP SA %08x: %w", c.SPIOut, err)
	}
	p.states[c.SPIIn] = append(p.states[c.SPIIn], bare(out))
	for _, l := range c.LocalTS {
		for _, r := range c.RemoteTS {
			if err := p.pair(c, l, r); err != nil {
				return err
			}
		}
	}
	if err := p.retire(c.SPIIn, out.ReqID); err != nil {
		return err
	}
	return p.forgetPath(c)
}

// retire removes the outbound states that another one replaced: of two the
// kernel would take either, and the peer is about to forget the old one.
func (p *Plane) retire(spiIn, reqID uint32) error {
	for spi, states := range p.states {
		if spi == spiIn || len(states) < 2 || states[1].ReqID != reqID {
			continue
		}
		p.count(&p.gone, states[1:], false)
		if err := p.send(deleteState(states[1])); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove ESP SA %08x: %w", states[1].SPI, err)
		}
		p.states[spi] = states[:1]
	}
	return nil
}

// forgetPath removes policies between other outer addresses than those of c:
// of before an address changed.
func (p *Plane) forgetPath(c Child) error {
	keep := p.policies[:0]
	for _, x := range p.policies {
		local, remote := x.TunnelSrc, x.TunnelDst
		if x.Dir != Out {
			local, remote = remote, local
		}
		if x.ReqID != p.reqIDFor(c.Name) || local == c.Local.Addr() && remote == c.Remote.Addr() {
			keep = append(keep, x)
			continue
		}
		if err := p.send(deletePolicy(x)); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove policy %s === %s: %w", x.Src, x.Dst, err)
		}
	}
	p.policies = keep
	return nil
}

// Activate installs the outbound half of a CHILD_SA that stood by.
func (p *Plane) Activate(spiIn uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.waiting[spiIn]
	if !ok || p.closed {
		return nil
	}
	delete(p.waiting, spiIn)
	defer c.Keys.Zero()
	return p.outbound(c)
}

// Remove takes the states of a CHILD_SA out.
func (p *Plane) Remove(spiIn uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.remove(spiIn); err != nil {
		p.log.Warn(err.Error())
	}
}

func (p *Plane) remove(spiIn uint32) error {
	var errs []error
	p.count(&p.gone, p.states[spiIn], true)
	for _, s := range p.states[spiIn] {
		if err := p.send(deleteState(s)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove ESP SA %08x: %w", s.SPI, err))
		}
	}
	delete(p.states, spiIn)
	if c, ok := p.waiting[spiIn]; ok {
		c.Keys.Zero()
		delete(p.waiting, spiIn)
	}
	return errors.Join(errs...)
}

// Close removes everything.
func (p *Plane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.acquires != nil {
		p.acquires.close()
	}
	var errs []error
	for _, x := range p.policies {
		if err := p.send(deletePolicy(x)); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove policy %s === %s: %w", x.Src, x.Dst, err))
		}
	}
	for spi := range p.states {
		errs = append(errs, p.remove(spi))
	}
	for i := len(p.undo) - 1; i >= 0; i-- {
		if err := p.undo[i](); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
