package xfrm

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/esp"
)

// reqIDOf is the mark of a connection's states and policies: "t" and a hash of
// its name; the last octet tells its CHILD_SAs apart.
func reqIDOf(name string) uint32 { return 0x74000000 | crc32.ChecksumIEEE([]byte(name))&0xffff<<8 }

// childMask leaves the octet of the CHILD_SA out.
const childMask = 0xffffff00

// ours reports whether a ReqID is of this connection.
func (p *Plane) ours(reqID uint32) bool { return reqID&childMask == p.reqID }

// reqIDFor is the ReqID of the CHILD_SAs of that name: the kernel takes any
// state with the ReqID of a policy.
func (p *Plane) reqIDFor(name string) uint32 {
	n, ok := p.names[name]
	if !ok {
		n = uint32(len(p.names)+1) & 0xff
		if p.names == nil {
			p.names = map[string]uint32{}
		}
		p.names[name] = n
	}
	return p.reqID | n
}

// sweep removes the states and policies with our ReqID.
func (p *Plane) sweep() (n int, err error) {
	policies, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	if err != nil {
		return 0, err
	}
	for i := range policies {
		for _, t := range policies[i].Tmpls {
			if p.ours(uint32(t.Reqid)) {
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
		if p.ours(uint32(states[i].Reqid)) {
			if err := netlink.XfrmStateDel(&states[i]); err != nil && !errors.Is(err, unix.ESRCH) {
				return n, err
			}
			n++
		}
	}
	return n, nil
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

// RemoveStale removes the states, policies and routes that a killed run of the
// connection left in the kernel. Nothing to remove is no error.
func RemoveStale(cfg Config, routes []netip.Prefix) error {
	p := &Plane{reqID: reqIDOf(cfg.Name)}
	_, err := p.sweep()
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		err = nil // a kernel without XFRM has none
	}
	if cfg.Table == 0 {
		cfg.Table = esp.DefaultTable
	}
	errs := []error{err}
	for _, dst := range routes {
		r := &netlink.Route{Dst: ipNet(dst), Table: cfg.Table, Protocol: unix.RTPROT_STATIC}
		if err := netlink.RouteDel(r); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove route %s table %d: %w", dst, cfg.Table, err))
		}
	}
	return errors.Join(errs...)
}
