package xfrm

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netlink/nl"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// defaultReplayWindow is the kernel's, and strongSwan's, in packets.
const defaultReplayWindow = 32

// entry is a CHILD_SA for the kernel. The keys stay the caller's.
type entry struct {
	name              string
	spiIn, spiOut     uint32
	suite             crypto.Suite
	keys              *crypto.ChildKeys // Ei and Ai protect what this host sends
	localTS, remoteTS []ike.TrafficSelector
	local, remote     netip.AddrPort
	encap             bool // ESP in UDP between local and remote
	config            dataplane.ChildConfig
}

// replayWindow is in packets; 0 = none.
func (c entry) replayWindow() int {
	switch {
	case c.config.NoReplayWindow:
		return 0
	case c.config.ReplayWindow == 0:
		return defaultReplayWindow
	}
	return c.config.ReplayWindow
}

// databases is what a connection has in the kernel: states (the SAD of RFC 4301),
// policies (the SPD), routes and virtual IPs. It is safe for concurrent use.
type databases struct {
	cfg       dataplane.Config
	addresses []netip.Addr // virtual IPs
	log       *slog.Logger // KNL
	send      func(request) error
	usage     func(xfrmState) usage // nil counts nothing
	reqID     uint32

	mu       sync.Mutex
	states   map[uint32][]xfrmState // by inbound SPI: inbound, outbound
	names    map[string]uint32      // of CHILD_SAs, by number
	standby  map[uint32]entry       // whose outbound state waits for activate
	policies []xfrmPolicy
	undo     []func() error
	routes   *routing  // nil makes none
	removed  esp.Stats // of removed states
	acquires *acquires // nil without Config.Acquire
	closed   bool
}

func newDatabases(cfg dataplane.Config, send func(request) error) *databases {
	return &databases{cfg: cfg, log: log.Group(cfg.Logger, log.KNL), send: send, reqID: reqIDOf(cfg.Name), states: map[uint32][]xfrmState{}, standby: map[uint32]entry{}}
}

// openDatabases removes what an earlier run of the same connection left.
func openDatabases(cfg dataplane.Config, addresses []netip.Addr) (*databases, error) {
	d := newDatabases(cfg, execute)
	d.addresses, d.usage, d.routes = addresses, kernelUsage, &routing{done: map[netip.Prefix]netip.Addr{}}
	if n, err := sweep(d.reqID); err != nil {
		return nil, fmt.Errorf("remove what an earlier run left in the kernel: %w", err)
	} else if n > 0 {
		log.Infof(d.log, "removed %d states and policies of an earlier run", n)
	}
	if cfg.Acquire != nil {
		a, err := listenAcquires(d.reqID, func(packet ike.Trigger) { cfg.Acquire(packet) })
		if err != nil {
			return nil, fmt.Errorf("listen for what the kernel asks for: %w", err)
		}
		d.acquires = a
	}
	return d, nil
}

// install adds the states of a CHILD_SA, and the policies that are not installed
// yet.
func (d *databases) install(c entry, standby bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return esp.ErrClosed
	}
	in := d.state(c, c.remote, c.local, c.spiIn)
	in.Encr, in.Integ, in.Mark, in.IfID = c.keys.Er, c.keys.Ar, c.config.MarkIn, c.config.IfIDIn
	if dscp := c.config.Outer.DSCP; dscp == dataplane.DSCPIn || dscp == dataplane.DSCPBoth {
		in.Flags |= nl.XFRM_STATE_DECAP_DSCP
	}
	if err := d.add(in); err != nil {
		return fmt.Errorf("install inbound ESP SA %08x: %w", c.spiIn, err)
	}
	d.states[c.spiIn] = []xfrmState{bare(in)}
	if standby {
		c.keys = &crypto.ChildKeys{Ei: bytes.Clone(c.keys.Ei), Ai: bytes.Clone(c.keys.Ai)}
		d.standby[c.spiIn] = c
		return nil
	}
	return d.outbound(c)
}

func (d *databases) state(c entry, from, to netip.AddrPort, spi uint32) xfrmState {
	s := xfrmState{Src: from.Addr(), Dst: to.Addr(), SPI: spi, ReqID: d.reqIDFor(c.name), Suite: c.suite, ReplayWindow: c.replayWindow()}
	s.Flags = outerFlags(c.config.Outer)
	if c.encap {
		s.SrcPort, s.DstPort = from.Port(), to.Port()
	}
	return s
}

// outerFlags are the flags of both directions for what the outer header takes.
func outerFlags(o dataplane.OuterHeader) (flags uint8) {
	if o.NoDF {
		flags |= nl.XFRM_STATE_NOPMTUDISC
	}
	if o.NoECN {
		flags |= nl.XFRM_STATE_NOECN
	}
	return flags
}

// bare is s without keys, for its removal.
func bare(s xfrmState) xfrmState {
	s.Encr, s.Integ = nil, nil
	return s
}

func (d *databases) add(s xfrmState) error {
	r, err := newState(s)
	if err != nil {
		return err
	}
	defer clear(r.body)
	err = d.send(r)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: %w", err, ErrNoESP)
	}
	return err
}

func (d *databases) outbound(c entry) error {
	out := d.state(c, c.local, c.remote, c.spiOut)
	out.Encr, out.Integ, out.Mark, out.IfID, out.ReplayWindow = c.keys.Ei, c.keys.Ai, c.config.MarkOut, c.config.IfIDOut, 0
	out.KeepDSCP = c.config.Outer.DSCP == dataplane.DSCPIn || c.config.Outer.DSCP == dataplane.DSCPNone
	if err := d.add(out); err != nil {
		return fmt.Errorf("install outbound ESP SA %08x: %w", c.spiOut, err)
	}
	d.states[c.spiIn] = append(d.states[c.spiIn], bare(out))
	for _, l := range c.localTS {
		for _, r := range c.remoteTS {
			if err := d.pair(c, l, r); err != nil {
				return err
			}
		}
	}
	if err := d.removeReplaced(c.spiIn, out.ReqID); err != nil {
		return err
	}
	return d.removeOldPath(c)
}

// removeReplaced removes the outbound states that the one of spiIn replaced: of
// two the kernel would take either, and the peer is about to delete the old one.
func (d *databases) removeReplaced(spiIn, reqID uint32) error {
	for spi, states := range d.states {
		if spi == spiIn || len(states) < 2 || states[1].ReqID != reqID {
			continue
		}
		d.count(&d.removed, states[1:], false)
		if err := d.send(deleteState(states[1])); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove ESP SA %08x: %w", states[1].SPI, err)
		}
		d.states[spi] = states[:1]
	}
	return nil
}

// removeOldPath removes policies between other outer addresses than those of c,
// which an address change left.
func (d *databases) removeOldPath(c entry) error {
	keep := d.policies[:0]
	for _, x := range d.policies {
		local, remote := x.TunnelSrc, x.TunnelDst
		if x.Dir != dirOut {
			local, remote = remote, local
		}
		if x.ReqID != d.reqIDFor(c.name) || local == c.local.Addr() && remote == c.remote.Addr() {
			keep = append(keep, x)
			continue
		}
		if err := d.send(deletePolicy(x)); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove policy %s === %s: %w", x.Src, x.Dst, err)
		}
	}
	d.policies = keep
	return nil
}

// activate installs the outbound state of a CHILD_SA on standby.
func (d *databases) activate(spiIn uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.standby[spiIn]
	if !ok || d.closed {
		return nil
	}
	delete(d.standby, spiIn)
	defer c.keys.Zero()
	return d.outbound(c)
}

// remove removes the states of a CHILD_SA.
func (d *databases) remove(spiIn uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.removeLocked(spiIn)
}

func (d *databases) removeLocked(spiIn uint32) error {
	var errs []error
	d.count(&d.removed, d.states[spiIn], true)
	for _, s := range d.states[spiIn] {
		if err := d.send(deleteState(s)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove ESP SA %08x: %w", s.SPI, err))
		}
	}
	delete(d.states, spiIn)
	if c, ok := d.standby[spiIn]; ok {
		c.keys.Zero()
		delete(d.standby, spiIn)
	}
	return errors.Join(errs...)
}

// close removes everything.
func (d *databases) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.acquires != nil {
		d.acquires.close()
	}
	var errs []error
	for _, x := range d.policies {
		if err := d.send(deletePolicy(x)); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove policy %s === %s: %w", x.Src, x.Dst, err))
		}
	}
	for spi := range d.states {
		errs = append(errs, d.removeLocked(spi))
	}
	for _, undo := range slices.Backward(d.undo) {
		if err := undo(); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
