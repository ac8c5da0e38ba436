package esp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/gotnc/gotnc/internal/base/log"
)

const (
	tunDevice = "/dev/net/tun"
	// tunOffset is what the TUN library needs in front of a packet for its
	// virtio header.
	tunOffset = 16
	// maxSAs caps the ESP SAs that stand at once, through rekeying.
	maxSAs = 64
	// mostOverhead is the most that IPv6, UDP and ESP with any cipher of ours
	// add to a packet, in octets.
	mostOverhead = 40 + 8 + 8 + 16 + 17 + 32
)

// tunPlane is ESP over a TUN device: one goroutine reads the device, one
// looks whether it is still there.
type tunPlane struct {
	cfg  Config
	log  *slog.Logger // KNL
	esp  *slog.Logger // ESP
	dev  tun.Device
	name string

	sas      atomic.Pointer[[]*SA] // the newest first; it sends
	mu       sync.Mutex            // writers of sas, and what follows
	gone     Stats                 // of removed SAs
	counters counters              // what no SA counts

	nl       *netlink.Handle
	link     netlink.Link
	routes   map[netip.Prefix]bool // installed
	rules    map[int]bool          // by family
	undo     []func() error        // in reverse order
	closing  atomic.Bool
	finished chan struct{} // the reader has ended
	done     chan struct{}
	once     sync.Once
	closeErr error
	failure  atomic.Pointer[error]
	held     held
	in       inbound
	early    early
}

// OpenTUN makes a TUN device with the virtual IPs and, in a table of their
// own, the routes to what lies behind the gateway, and starts to carry
// packets. It takes the ciphers over, also where it fails. All of it is made
// in the network namespace of the calling thread.
func OpenTUN(cfg Config) (Plane, error) {
	sa, err := firstSA(&cfg)
	if err != nil {
		return nil, fmt.Errorf("open TUN data plane: %w", err)
	}
	p := &tunPlane{cfg: cfg, log: log.Group(cfg.Logger, log.KNL), esp: log.Group(cfg.Logger, log.ESP), done: make(chan struct{}), finished: make(chan struct{})}
	var sas []*SA
	if sa != nil {
		sas = append(sas, sa)
	}
	p.sas.Store(&sas)
	if err := p.open(sa); err != nil {
		if sa != nil {
			sa.Close()
		}
		return nil, errors.Join(fmt.Errorf("open TUN data plane: %w", err), p.rollback())
	}
	go p.read()
	go p.watch()
	return p, nil
}

// firstSA makes the SA of the Child; nil for a trap.
func firstSA(cfg *Config) (*SA, error) {
	if cfg.Child.In == nil && cfg.Child.Out == nil && len(cfg.TrapRemote) > 0 && cfg.Acquire != nil {
		return nil, nil
	}
	sa, err := NewSA(cfg.Child)
	cfg.Child.In, cfg.Child.Out = nil, nil
	return sa, err
}

// open makes the device; sa is nil for a trap.
func (p *tunPlane) open(sa *SA) error {
	c := &p.cfg
	local, remote := c.TrapLocal, c.TrapRemote
	if sa != nil {
		local, remote = *sa.local.Load(), sa.remote
	}
	if c.Send == nil {
		return errors.New("no way to send packets")
	}
	if c.Device == "" {
		c.Device = "ipsec%d"
	}
	if len(c.Device) >= unix.IFNAMSIZ || strings.ContainsAny(c.Device, "/ \t\n") {
		return fmt.Errorf("device name %q: at most %d characters without blanks and slashes", c.Device, unix.IFNAMSIZ-1)
	}
	if c.Table == 0 {
		c.Table = DefaultTable
	}
	if c.Priority == 0 {
		c.Priority = DefaultPriority
	}
	if c.OuterMTU == 0 {
		c.OuterMTU = DefaultOuterMTU
	}
	if c.MTU == 0 {
		inner := c.OuterMTU - mostOverhead
		if sa != nil {
			inner = sa.MTU(c.OuterMTU, c.Gateway.Addr().Is6() && !c.Gateway.Addr().Is4In6())
		}
		c.MTU = max(minMTU, min(DefaultMaxMTU, inner))
	}
	if c.MTU < 576 || c.MTU > maxMTU {
		return fmt.Errorf("MTU %d: not between 576 and %d", c.MTU, maxMTU)
	}
	if err := ProbeTUN(); err != nil {
		return err
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	p.nl = nl
	if p.dev, p.name, err = createTUN(c.Device); err != nil {
		return err
	}
	link, err := nl.LinkByName(p.name)
	if err != nil {
		return fmt.Errorf("find device %s: %w", p.name, err)
	}
	p.link, p.routes, p.rules = link, map[netip.Prefix]bool{}, map[int]bool{}
	if err := nl.LinkSetMTU(link, c.MTU); err != nil {
		return fmt.Errorf("set MTU %d of %s: %w", c.MTU, p.name, err)
	}
	p.quiet(local, remote)
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", p.name, err)
	}
	log.Infof(p.log, "created TUN device: %s", p.name)
	if !c.NoAddresses {
		for _, a := range c.Addresses {
			if err := p.addAddress(link, a); err != nil {
				return err
			}
		}
	}
	if !c.NoRoutes {
		return p.addRoutes(link, local, remote)
	}
	return nil
}

// quiet keeps the kernel from sending router solicitations and multicast
// reports into the tunnel, where no selector lets them pass. Where /proc/sys
// is read-only they are dropped and counted.
func (p *tunPlane) quiet(local, remote []Selector) {
	file, value := "disable_ipv6", "1"
	is6 := func(s Selector) bool { return s.From.Is6() }
	if slices.ContainsFunc(local, is6) || slices.ContainsFunc(remote, is6) || slices.ContainsFunc(p.cfg.Addresses, func(a netip.Addr) bool { return a.Unmap().Is6() }) {
		file = "addr_gen_mode" // 1: no link-local address
	}
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+p.name+"/"+file, []byte(value), 0)
}

func (p *tunPlane) Kind() Kind     { return TUN }
func (p *tunPlane) Device() string { return p.name }

func (p *tunPlane) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.gone
	s.Add(p.counters.stats())
	for _, sa := range *p.sas.Load() {
		s.Add(sa.Stats())
	}
	return s
}

func (p *tunPlane) Done() <-chan struct{} { return p.done }

func (p *tunPlane) Err() error {
	if e := p.failure.Load(); e != nil {
		return *e
	}
	return nil
}

func (p *tunPlane) Close() error {
	p.once.Do(func() {
		p.closing.Store(true)
		p.closeErr = p.rollback()
		<-p.finished
		p.mu.Lock()
		var none []*SA
		for _, sa := range *p.sas.Load() {
			p.gone.Add(sa.Stats())
			sa.Close()
		}
		p.sas.Store(&none)
		p.mu.Unlock()
		close(p.done)
	})
	<-p.done
	return p.closeErr
}

// rollback removes what was made, in reverse order, and closes the device.
func (p *tunPlane) rollback() error {
	var errs []error
	for i := len(p.undo) - 1; i >= 0; i-- {
		if err := p.undo[i](); err != nil {
			errs = append(errs, err)
		}
	}
	p.undo = nil
	if p.dev != nil {
		if err := p.dev.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close TUN device %s: %w", p.name, err))
		}
	}
	if p.nl != nil {
		p.nl.Close()
	}
	if len(errs) > 0 {
		return fmt.Errorf("remove TUN data plane: %w", errors.Join(errs...))
	}
	return nil
}
