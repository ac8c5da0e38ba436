package xfrm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/esp"
)

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
