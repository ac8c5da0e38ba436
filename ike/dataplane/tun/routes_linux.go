package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/internal/base/log"
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (d *device) addAddress(a netip.Addr) error {
	a = a.Unmap()
	addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}
	if a.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := d.net.nl.AddrAdd(d.net.link, addr); err != nil {
		return fmt.Errorf("install virtual IP %s on %s: %w", a, d.name, err)
	}
	d.net.undo = append(d.net.undo, func() error {
		return ignore(d.net.nl.AddrDel(d.net.link, addr), unix.ENODEV, unix.EADDRNOTAVAIL)
	})
	log.Infof(d.log, "virtual IP %s installed on %s", a, d.name)
	return nil
}

// addRoutes installs routes to remote, and the rules that lead to them.
func (d *device) addRoutes(local, remote []ike.TrafficSelector) error {
	if d.cfg.NoRoutes {
		return nil
	}
	families := map[int]bool{}
	for _, dst := range dataplane.Subnets(remote) {
		if d.net.routes[dst] {
			continue
		}
		family := unix.AF_INET
		if dst.Addr().Is6() {
			family = unix.AF_INET6
		}
		src := d.source(family, local)
		if len(d.tun.addresses) > 0 && !src.IsValid() && !d.cfg.NoAddresses {
			continue // a family that the gateway gave no address for
		}
		r := d.route(dst, local)
		if err := d.net.nl.RouteAdd(r); err != nil {
			if errors.Is(err, unix.EEXIST) {
				err = errors.New("it exists already: does another VPN client run?")
			}
			return fmt.Errorf("install route %s dev %s table %d: %w", dst, d.name, d.cfg.Table, err)
		}
		d.net.undo = append(d.net.undo, func() error {
			return ignore(d.net.nl.RouteDel(r), unix.ESRCH, unix.ENODEV)
		})
		families[family], d.net.routes[dst] = true, true
		log.Infof(d.log, "installed route %s dev %s table %d", dst, d.name, d.cfg.Table)
	}
	// The rules come last: traffic enters the tunnel when all is there.
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if !families[family] || d.net.rules[family] {
			continue
		}
		if err := d.addRule(family); err != nil {
			return err
		}
		d.net.rules[family] = true
	}
	return nil
}

// addRule sends the lookups of all packets to the table, except those to the
// gateway's own address and port.
func (d *device) addRule(family int) error {
	r := rule(family, d.cfg.Table, d.cfg.Priority, d.tun.gateway)
	err := d.net.nl.RuleAdd(r)
	if errors.Is(err, unix.EEXIST) {
		// Of an earlier run that was killed, or of another connection to the
		// same gateway: it does what is needed, and stays when this one ends.
		log.Infof(d.log, "rule with priority %d for table %d is there already", r.Priority, r.Table)
		return nil
	}
	if err != nil {
		return fmt.Errorf("install rule with priority %d for table %d: %w", r.Priority, r.Table, err)
	}
	d.net.undo = append(d.net.undo, func() error { return ignore(d.net.nl.RuleDel(r), unix.ENOENT) })
	return nil
}

// rule sends the lookups of all packets but those to the gateway to the table.
func rule(family, table, priority int, gateway netip.AddrPort) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Table, r.Priority = family, table, priority
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

// source returns the source address of packets into the tunnel: a virtual IP,
// else an address of this host within the local selectors.
func (d *device) source(family int, local []ike.TrafficSelector) netip.Addr {
	fits := func(a netip.Addr) bool {
		return a.IsValid() && a.Is4() == (family == unix.AF_INET) && slices.ContainsFunc(local, func(s ike.TrafficSelector) bool { return s.ContainsAddr(a) })
	}
	if !d.cfg.NoAddresses {
		for _, a := range d.tun.addresses {
			if a = a.Unmap(); fits(a) {
				return a
			}
		}
	}
	if a := d.tun.local.Addr().Unmap().WithZone(""); fits(a) {
		return a
	}
	have, err := d.net.nl.AddrList(nil, family)
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

// move keeps the gateway's packets out of the tunnel where its address changed,
// and follows the local address.
func (d *device) move(local, gateway netip.AddrPort) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	before, from := d.tun.gateway, d.tun.local.Addr().Unmap().WithZone("")
	to := local.Addr().Unmap().WithZone("")
	d.tun.local = local
	if d.closing.Load() {
		return nil
	}
	if from.IsValid() && to.IsValid() && from != to {
		d.sas.Readdress(from, to)
		if err := d.renewRoutes(); err != nil {
			return err
		}
	}
	if before == gateway {
		return nil
	}
	d.tun.gateway = gateway
	for family := range d.net.rules {
		if err := d.addRule(family); err != nil {
			return err
		}
		if err := ignore(d.net.nl.RuleDel(rule(family, d.cfg.Table, d.cfg.Priority, before)), unix.ENOENT); err != nil {
			return fmt.Errorf("remove rule for %s: %w", before, err)
		}
	}
	return nil
}

// renewRoutes installs the routes again with the present source address: the
// kernel removes those whose source address is removed.
func (d *device) renewRoutes() error {
	sa := d.sas.Newest()
	if d.cfg.NoRoutes || sa == nil {
		return nil
	}
	for dst := range d.net.routes {
		if err := d.net.nl.RouteReplace(d.route(dst, sa.LocalTS())); err != nil {
			return fmt.Errorf("install route %s dev %s table %d: %w", dst, d.name, d.cfg.Table, err)
		}
	}
	return nil
}

// route is the route to dst into the tunnel.
func (d *device) route(dst netip.Prefix, local []ike.TrafficSelector) *netlink.Route {
	r := &netlink.Route{LinkIndex: d.net.link.Attrs().Index, Dst: ipNet(dst), Table: d.cfg.Table, Protocol: unix.RTPROT_STATIC, Scope: netlink.SCOPE_LINK}
	family := unix.AF_INET
	if dst.Addr().Is6() {
		family, r.Scope = unix.AF_INET6, netlink.SCOPE_UNIVERSE
	}
	if src := d.source(family, local); src.IsValid() {
		r.Src = src.AsSlice()
	}
	return r
}

// removeLeftovers removes the rules of a process that was killed; its device and
// routes went with it.
func removeLeftovers(l dataplane.Leftovers) error {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer nl.Close()
	var errs []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		errs = append(errs, ignore(nl.RuleDel(rule(family, l.Table, l.Priority, l.Gateway)), unix.ENOENT, unix.EAFNOSUPPORT))
	}
	return errors.Join(errs...)
}
