package xfrm

import (
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/log"
)

// ErrNoESP: the kernel cannot carry ESP.
var ErrNoESP = errors.New("the kernel has no ESP: load the modules esp4, esp6 and xfrm_user, or use data plane tun")

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
}

// Plane is the CHILD_SAs of a connection in the kernel. It is safe for
// concurrent use.
type Plane struct {
	cfg   Config
	log   *slog.Logger
	send  func(request) error
	reqID uint32

	mu       sync.Mutex
	states   map[uint32][]State // by inbound SPI: inbound, outbound
	waiting  map[uint32]Child   // whose outbound half stands by
	policies []Policy
	undo     []func() error
	closed   bool
}

// execute sends a request to the kernel and reads its answer.
func execute(r request) error {
	q := nl.NewNetlinkRequest(int(r.kind), int(r.flags))
	q.AddRawData(r.body)
	_, err := q.Execute(unix.NETLINK_XFRM, 0)
	return err
}

// Probe reports why the kernel's ESP cannot be used; nil where it can. For a
// moment a state between two loopback addresses exists.
func Probe() error { return probe(execute) }

func probe(send func(request) error) error {
	lo := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ps, err := crypto.ParseProposal(3, "aes128gcm16")
	if err != nil {
		return err
	}
	suite, err := crypto.SuiteOf(ps[0])
	if err != nil {
		return err
	}
	s := State{Src: lo, Dst: lo, SPI: 0x746e6300, ReqID: 0x746e6300, Suite: suite, Encr: make([]byte, 20), ReplayWindow: 32}
	r, err := newState(s)
	if err != nil {
		return err
	}
	err = send(r)
	switch {
	case err == nil:
		return send(deleteState(s))
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("use the kernel's ESP: the right CAP_NET_ADMIN is missing: run as root: %w", err)
	}
	return fmt.Errorf("%w (adding a state: %w)", ErrNoESP, err)
}

// Open removes what an earlier run of the same connection left, and installs
// the virtual IPs.
func Open(cfg Config) (*Plane, error) {
	p := &Plane{cfg: cfg, log: log.Group(cfg.Logger, log.KNL), send: execute, reqID: reqIDOf(cfg.Name), states: map[uint32][]State{}, waiting: map[uint32]Child{}}
	if n, err := p.sweep(); err != nil {
		return nil, fmt.Errorf("remove what an earlier run left in the kernel: %w", err)
	} else if n > 0 {
		p.log.Info(fmt.Sprintf("removed %d states and policies of an earlier run", n))
	}
	return p, nil
}

// reqIDOf is the mark of our states and policies: "tn" and a hash of the
// connection's name.
func reqIDOf(name string) uint32 { return 0x746e0000 | crc32.ChecksumIEEE([]byte(name))&0xffff }

// sweep removes the states and policies with our ReqID.
func (p *Plane) sweep() (n int, err error) {
	policies, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	if err != nil {
		return 0, err
	}
	for i := range policies {
		for _, t := range policies[i].Tmpls {
			if uint32(t.Reqid) == p.reqID {
				if err := netlink.XfrmPolicyDel(&policies[i]); err != nil && !errors.Is(err, unix.ENOENT) {
					return n, err
				}
				n++
				break
			}
		}
	}
	states, err := netlink.XfrmStateList(netlink.FAMILY_ALL)
	if err != nil {
		return n, err
	}
	for i := range states {
		if uint32(states[i].Reqid) == p.reqID {
			if err := netlink.XfrmStateDel(&states[i]); err != nil && !errors.Is(err, unix.ESRCH) {
				return n, err
			}
			n++
		}
	}
	return n, nil
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
	s := State{Src: from.Addr(), Dst: to.Addr(), SPI: spi, ReqID: p.reqID, Suite: c.Suite, ReplayWindow: c.ReplayWindow}
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
	return nil
}

// pair installs the three policies of a pair of selectors.
func (p *Plane) pair(c Child, l, r esp.Selector) error {
	for _, lp := range l.Prefixes() {
		for _, rp := range r.Prefixes() {
			if lp.Addr().Is4() != rp.Addr().Is4() {
				continue
			}
			prio := uint32(400000 - 512*(lp.Bits()+rp.Bits()))
			out := Policy{Dir: Out, Src: lp, Dst: rp, Protocol: max(l.Protocol, r.Protocol), SrcPort: single(l), DstPort: single(r),
				Priority: prio, TunnelSrc: c.Local.Addr(), TunnelDst: c.Remote.Addr(), ReqID: p.reqID, Mark: c.MarkOut, IfID: c.IfIDOut}
			in := Policy{Dir: In, Src: rp, Dst: lp, Protocol: out.Protocol, SrcPort: out.DstPort, DstPort: out.SrcPort,
				Priority: prio, TunnelSrc: out.TunnelDst, TunnelDst: out.TunnelSrc, ReqID: p.reqID, Mark: c.MarkIn, IfID: c.IfIDIn}
			fwd := in
			fwd.Dir = Forward
			for _, x := range []Policy{in, fwd, out} {
				if err := p.send(updatePolicy(x)); err != nil {
					return fmt.Errorf("install policy %s === %s: %w", x.Src, x.Dst, err)
				}
				p.remember(x)
			}
			if err := p.route(rp, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func single(s esp.Selector) uint16 {
	if s.FromPort == s.ToPort {
		return s.FromPort
	}
	return 0
}

func (p *Plane) remember(x Policy) {
	for _, o := range p.policies {
		if o.Dir == x.Dir && o.Src == x.Src && o.Dst == x.Dst && o.Protocol == x.Protocol && o.SrcPort == x.SrcPort && o.DstPort == x.DstPort {
			return
		}
	}
	p.policies = append(p.policies, x)
}

// route installs the virtual IP on the device towards the gateway, and a route
// that has packets leave from it.
func (p *Plane) route(dst netip.Prefix, c Child) error {
	var vip netip.Addr
	for _, a := range p.cfg.Addresses {
		if a.Is4() == dst.Addr().Is4() {
			vip = a
		}
	}
	if !vip.IsValid() || p.cfg.NoAddresses {
		return nil // the host's own address will do
	}
	ways, err := netlink.RouteGet(net.IP(c.Remote.Addr().AsSlice()))
	if err != nil || len(ways) == 0 {
		return fmt.Errorf("find the route to the gateway: %w", err)
	}
	link, err := netlink.LinkByIndex(ways[0].LinkIndex)
	if err != nil {
		return fmt.Errorf("find the device towards the gateway: %w", err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: vip.AsSlice(), Mask: net.CIDRMask(vip.BitLen(), vip.BitLen())}}
	switch err := netlink.AddrAdd(link, addr); {
	case err == nil:
		p.log.Info(fmt.Sprintf("virtual IP %s installed on %s", vip, link.Attrs().Name))
		p.undo = append(p.undo, func() error { return netlink.AddrDel(link, addr) })
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("install virtual IP %s on %s: %w", vip, link.Attrs().Name, err)
	}
	if p.cfg.NoRoutes {
		return nil
	}
	table, prio := p.cfg.Table, p.cfg.Priority
	if table == 0 {
		table = esp.DefaultTable
	}
	if prio == 0 {
		prio = esp.DefaultPriority
	}
	r := &netlink.Route{LinkIndex: ways[0].LinkIndex, Gw: ways[0].Gw, Src: vip.AsSlice(), Table: table, Protocol: unix.RTPROT_STATIC,
		Dst: &net.IPNet{IP: dst.Masked().Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())}}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("install route %s table %d: %w", dst, table, err)
	}
	p.undo = append(p.undo, func() error { return netlink.RouteDel(r) })
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Priority = unix.AF_INET, table, prio
	if dst.Addr().Is6() {
		rule.Family = unix.AF_INET6
	}
	switch err := netlink.RuleAdd(rule); {
	case err == nil:
		p.undo = append(p.undo, func() error { return netlink.RuleDel(rule) })
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("install rule for table %d: %w", table, err)
	}
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

// RemoveAddresses removes virtual IPs that a killed run left on a device; their
// routes go with them.
func RemoveAddresses(addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	have, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for i := range have {
		a, _ := netip.AddrFromSlice(have[i].IP)
		ones, bits := have[i].Mask.Size()
		for _, v := range addrs {
			if a.Unmap() != v || ones != bits {
				continue
			}
			link, err := netlink.LinkByIndex(have[i].LinkIndex)
			if err == nil {
				err = netlink.AddrDel(link, &have[i])
			}
			if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("remove virtual IP %s: %w", v, err)
			}
		}
	}
	return nil
}
