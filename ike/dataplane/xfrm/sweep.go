package xfrm

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/dataplane"
)

// reqIDOf is the mark of a connection's states and policies: "t" and a hash of
// its name; the last octet tells its CHILD_SAs apart.
func reqIDOf(name string) uint32 { return 0x74000000 | crc32.ChecksumIEEE([]byte(name))&0xffff<<8 }

// childMask clears the octet of the CHILD_SA.
const childMask = 0xffffff00

// reqIDFor is the ReqID of the CHILD_SAs of that name: the kernel takes any
// state with the ReqID of a policy.
func (d *databases) reqIDFor(name string) uint32 {
	n, ok := d.names[name]
	if !ok {
		n = uint32(len(d.names)+1) & 0xff
		if d.names == nil {
			d.names = map[string]uint32{}
		}
		d.names[name] = n
	}
	return d.reqID | n
}

// sweep removes the states and policies of a connection, by its ReqID.
func sweep(reqID uint32) (n int, err error) {
	policies, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	if err != nil {
		return 0, err
	}
	for i := range policies {
		for _, t := range policies[i].Tmpls {
			if uint32(t.Reqid)&childMask == reqID {
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
		if uint32(states[i].Reqid)&childMask == reqID {
			if err := netlink.XfrmStateDel(&states[i]); err != nil && !errors.Is(err, unix.ESRCH) {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// removeAddresses removes virtual IPs that a killed run left on a device; their
// routes go with them.
func removeAddresses(addrs []netip.Addr) error {
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

// removeLeftovers removes the rules, states, policies, routes and addresses that a
// killed run of the connection left in the kernel.
func removeLeftovers(l dataplane.Leftovers) error {
	var errs []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rule := netlink.NewRule()
		rule.Family, rule.Table, rule.Priority = family, l.Table, l.Priority
		if err := netlink.RuleDel(rule); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAFNOSUPPORT) {
			errs = append(errs, fmt.Errorf("remove rule for table %d: %w", l.Table, err))
		}
	}
	_, err := sweep(reqIDOf(l.Name))
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		err = nil // a kernel without XFRM has none
	}
	errs = append(errs, err)
	for _, dst := range l.Routes {
		r := &netlink.Route{Dst: ipNet(dst), Table: l.Table, Protocol: unix.RTPROT_STATIC}
		if err := netlink.RouteDel(r); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove route %s table %d: %w", dst, l.Table, err))
		}
	}
	return errors.Join(append(errs, removeAddresses(l.Addresses))...)
}
