package esp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (p *tunPlane) addAddress(link netlink.Link, a netip.Addr) error {
	a = a.Unmap()
	addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}
	if a.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := p.nl.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("install virtual IP %s on %s: %w", a, p.name, err)
	}
	p.undo = append(p.undo, func() error {
		return ignore(p.nl.AddrDel(link, addr), unix.ENODEV, unix.EADDRNOTAVAIL)
	})
	log.Infof(p.log, "virtual IP %s installed on %s", a, p.name)
	return nil
}

// addRoutes installs routes to remote, and the rules that lead to them.
func (p *tunPlane) addRoutes(link netlink.Link, local, remote []Selector) error {
	families := map[int]bool{}
	for _, dst := range prefixesOf(remote) {
		if p.routes[dst] {
			continue
		}
		family := unix.AF_INET
		if dst.Addr().Is6() {
			family = unix.AF_INET6
		}
		src := p.source(family, local)
		if len(p.cfg.Addresses) > 0 && !src.IsValid() && !p.cfg.NoAddresses {
			continue // a family that the gateway gave no address for
		}
		r := p.route(dst, local)
		if err := p.nl.RouteAdd(r); err != nil {
			if errors.Is(err, unix.EEXIST) {
				err = errors.New("it exists already: does another VPN client run?")
			}
			return fmt.Errorf("install route %s dev %s table %d: %w", dst, p.name, p.cfg.Table, err)
		}
		p.undo = append(p.undo, func() error {
			return ignore(p.nl.RouteDel(r), unix.ESRCH, unix.ENODEV)
		})
		families[family], p.routes[dst] = true, true
		log.Infof(p.log, "installed route %s dev %s table %d", dst, p.name, p.cfg.Table)
	}
	// The rules come last: traffic enters the tunnel when all is there.
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if !families[family] || p.rules[family] {
			continue
		}
		if err := p.addRule(family); err != nil {
			return err
		}
		p.rules[family] = true
	}
	return nil
}

// addRule sends the lookups of all packets to the table, except those to the
// gateway's own address and port.
func (p *tunPlane) addRule(family int) error {
	r := p.rule(family, p.cfg.Gateway)
	err := p.nl.RuleAdd(r)
	if errors.Is(err, unix.EEXIST) {
		// An earlier run that was killed, or another connection to the same
		// gateway: it does what is needed, and is not ours to remove.
		log.Infof(p.log, "rule with priority %d for table %d is there already", r.Priority, r.Table)
		return nil
	}
	if err != nil {
		return fmt.Errorf("install rule with priority %d for table %d: %w", r.Priority, r.Table, err)
	}
	p.undo = append(p.undo, func() error { return ignore(p.nl.RuleDel(r), unix.ENOENT) })
	return nil
}

// rule is the rule that leaves packets to the gateway alone.
func (p *tunPlane) rule(family int, gateway netip.AddrPort) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Table, r.Priority = family, p.cfg.Table, p.cfg.Priority
	gw := gateway.Addr().Unmap().WithZone("")
	if gw.IsValid() && gw.Is4() == (family == unix.AF_INET) {
		r.Invert = true
		r.Dst = ipNet(netip.PrefixFrom(gw, gw.BitLen()))
		r.IPProto = unix.IPPROTO_UDP
		if port := gateway.Port(); port != 0 {
			r.Dport = netlink.NewRulePortRange(port, port)
		}
	}
	return r
}

// source returns the address that packets into the tunnel leave from: a
// virtual IP, else an address of this host within the local selectors.
func (p *tunPlane) source(family int, local []Selector) netip.Addr {
	fits := func(a netip.Addr) bool {
		return a.IsValid() && a.Is4() == (family == unix.AF_INET) && slices.ContainsFunc(local, func(s Selector) bool { return s.Contains(a) })
	}
	if !p.cfg.NoAddresses {
		for _, a := range p.cfg.Addresses {
			if a = a.Unmap(); fits(a) {
				return a
			}
		}
	}
	if a := p.cfg.Local.Addr().Unmap().WithZone(""); fits(a) {
		return a
	}
	have, err := p.nl.AddrList(nil, family)
	if err != nil {
		return netip.Addr{}
	}
	for _, h := range have {
		if a, ok := netip.AddrFromSlice(h.IP); ok && fits(a.Unmap()) && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}

func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

// Moved keeps the gateway's packets out of the tunnel where its address
// changed.
func (p *tunPlane) Moved(local, gateway netip.AddrPort, _ bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, from := p.cfg.Gateway, p.cfg.Local.Addr().Unmap().WithZone("")
	to := local.Addr().Unmap().WithZone("")
	p.cfg.Local = local
	if p.closing.Load() {
		return nil
	}
	if from.IsValid() && to.IsValid() && from != to {
		for _, sa := range *p.sas.Load() {
			sa.Readdress(from, to)
		}
		if err := p.resource(); err != nil {
			return err
		}
	}
	if before == gateway {
		return nil
	}
	p.cfg.Gateway = gateway
	for family := range p.rules {
		if err := p.addRule(family); err != nil {
			return err
		}
		old := p.rule(family, before)
		if err := ignore(p.nl.RuleDel(old), unix.ENOENT); err != nil {
			return fmt.Errorf("remove rule for %s: %w", before, err)
		}
	}
	return nil
}

// resource installs the routes anew, with the source address of now: the
// kernel removes those whose source went away.
func (p *tunPlane) resource() error {
	sas := *p.sas.Load()
	if p.cfg.NoRoutes || len(sas) == 0 {
		return nil
	}
	for dst := range p.routes {
		r := p.route(dst, *sas[0].local.Load())
		if err := p.nl.RouteReplace(r); err != nil {
			return fmt.Errorf("install route %s dev %s table %d: %w", dst, p.name, p.cfg.Table, err)
		}
	}
	return nil
}

// route is the route to dst into the tunnel.
func (p *tunPlane) route(dst netip.Prefix, local []Selector) *netlink.Route {
	r := &netlink.Route{LinkIndex: p.link.Attrs().Index, Dst: ipNet(dst), Table: p.cfg.Table, Protocol: unix.RTPROT_STATIC, Scope: netlink.SCOPE_LINK}
	family := unix.AF_INET
	if dst.Addr().Is6() {
		family, r.Scope = unix.AF_INET6, netlink.SCOPE_UNIVERSE
	}
	if src := p.source(family, local); src.IsValid() {
		r.Src = src.AsSlice()
	}
	return r
}

// RemoveStale removes the rules that a plane with that Config left behind when
// its process was killed; its device and routes went with the process. Nothing
// to remove is no error.
func RemoveStale(cfg Config) error {
	if cfg.Table == 0 {
		cfg.Table = DefaultTable
	}
	if cfg.Priority == 0 {
		cfg.Priority = DefaultPriority
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer nl.Close()
	p := &tunPlane{cfg: cfg, nl: nl}
	var errs []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		errs = append(errs, ignore(nl.RuleDel(p.rule(family, cfg.Gateway)), unix.ENOENT, unix.EAFNOSUPPORT))
	}
	return errors.Join(errs...)
}
