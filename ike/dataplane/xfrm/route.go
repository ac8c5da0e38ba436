package xfrm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/base/log"
)

// route has packets to dst leave from an address that the local selectors
// protect: it installs the virtual IP on the device towards the gateway, and a
// route in a table of its own, since policies are looked up only for packets
// that have a route.
func (d *databases) route(dst netip.Prefix, c entry) error {
	if d.routes == nil {
		return nil
	}
	return d.routes.add(d, dst, c)
}

// routing is the routes that were made.
type routing struct {
	done map[netip.Prefix]netip.Addr // source address by destination
}

func (r *routing) add(d *databases, dst netip.Prefix, c entry) error {
	ways, err := netlink.RouteGet(net.IP(c.remote.Addr().AsSlice()))
	if err != nil || len(ways) == 0 {
		return fmt.Errorf("find the route to the gateway: %w", err)
	}
	link, err := netlink.LinkByIndex(ways[0].LinkIndex)
	if err != nil {
		return fmt.Errorf("find the device towards the gateway: %w", err)
	}
	if err := d.virtualIPs(dst, link); err != nil {
		return err
	}
	src := d.source(dst, c)
	if d.cfg.NoRoutes || !src.IsValid() || r.done[dst] == src {
		return nil
	}
	table, prio := d.cfg.Table, d.cfg.Priority
	way := &netlink.Route{LinkIndex: ways[0].LinkIndex, Gw: ways[0].Gw, Src: src.AsSlice(), Table: table, Protocol: unix.RTPROT_STATIC,
		Dst: ipNet(dst)}
	if way.Gw == nil && dst.Addr().Is4() {
		way.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteReplace(way); err != nil {
		return fmt.Errorf("install route %s table %d: %w", dst, table, err)
	}
	r.done[dst] = src
	log.Infof(d.log, "installed route %s dev %s src %s table %d", dst, link.Attrs().Name, src, table)
	d.undo = append(d.undo, func() error { return netlink.RouteDel(way) })
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Priority = unix.AF_INET, table, prio
	if dst.Addr().Is6() {
		rule.Family = unix.AF_INET6
	}
	switch err := netlink.RuleAdd(rule); {
	case err == nil:
		d.undo = append(d.undo, func() error { return netlink.RuleDel(rule) })
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("install rule for table %d: %w", table, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// virtualIPs installs those of dst's family.
func (d *databases) virtualIPs(dst netip.Prefix, link netlink.Link) error {
	if d.cfg.NoAddresses {
		return nil
	}
	for _, vip := range d.addresses {
		if vip.Is4() != dst.Addr().Is4() {
			continue
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: vip.AsSlice(), Mask: net.CIDRMask(vip.BitLen(), vip.BitLen())}}
		if vip.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		switch err := netlink.AddrAdd(link, addr); {
		case err == nil:
			log.Infof(d.log, "virtual IP %s installed on %s", vip, link.Attrs().Name)
			d.undo = append(d.undo, func() error { return netlink.AddrDel(link, addr) })
		case !errors.Is(err, unix.EEXIST):
			return fmt.Errorf("install virtual IP %s on %s: %w", vip, link.Attrs().Name, err)
		}
	}
	return nil
}

// source is an address of this host within the local selectors: a virtual IP
// before the outer address, before any other; invalid where there is none.
func (d *databases) source(dst netip.Prefix, c entry) netip.Addr {
	fits := func(a netip.Addr) bool {
		return a.Is4() == dst.Addr().Is4() && slices.ContainsFunc(c.localTS, func(s ike.TrafficSelector) bool { return s.ContainsAddr(a) })
	}
	var candidates []netip.Addr
	if !d.cfg.NoAddresses {
		candidates = append(candidates, d.addresses...)
	}
	candidates = append(candidates, c.local.Addr())
	family := netlink.FAMILY_V4
	if dst.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	have, err := netlink.AddrList(nil, family)
	if err == nil {
		for _, h := range have {
			if a, ok := netip.AddrFromSlice(h.IP); ok && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				candidates = append(candidates, a.Unmap())
			}
		}
	}
	for _, a := range candidates {
		if fits(a) {
			return a
		}
	}
	return netip.Addr{}
}
