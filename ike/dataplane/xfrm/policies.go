package xfrm

import (
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike"
)

// pair installs the policies of a pair of selectors.
func (d *databases) pair(c entry, l, r ike.TrafficSelector) error {
	if l.Protocol != 0 && r.Protocol != 0 && l.Protocol != r.Protocol {
		return nil // no packet fits both
	}
	for _, lp := range l.Prefixes() {
		for _, rp := range r.Prefixes() {
			if lp.Addr().Is4() != rp.Addr().Is4() {
				continue
			}
			for _, local := range blocks(l) {
				for _, remote := range blocks(r) {
					if err := d.triple(c, lp, rp, max(l.Protocol, r.Protocol), local, remote); err != nil {
						return err
					}
				}
			}
			if err := d.route(rp, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// triple installs a policy for each direction.
func (d *databases) triple(c entry, l, r netip.Prefix, protocol uint8, local, remote block) error {
	prio := uint32(400000 - 512*(l.Bits()+r.Bits()))
	out := xfrmPolicy{Dir: dirOut, Src: l, Dst: r, Protocol: protocol, SrcPort: local.port, SrcMask: local.mask, DstPort: remote.port, DstMask: remote.mask,
		Priority: prio, TunnelSrc: c.local.Addr(), TunnelDst: c.remote.Addr(), ReqID: d.reqIDFor(c.name), Mark: c.config.MarkOut, IfID: c.config.IfIDOut}
	in := xfrmPolicy{Dir: dirIn, Src: r, Dst: l, Protocol: protocol, SrcPort: remote.port, SrcMask: remote.mask, DstPort: local.port, DstMask: local.mask,
		Priority: prio, TunnelSrc: out.TunnelDst, TunnelDst: out.TunnelSrc, ReqID: d.reqIDFor(c.name), Mark: c.config.MarkIn, IfID: c.config.IfIDIn}
	fwd := in
	fwd.Dir = dirForward
	for _, x := range []xfrmPolicy{in, fwd, out} {
		if err := d.send(updatePolicy(x)); err != nil {
			return fmt.Errorf("install policy %s === %s: %w", x.Src, x.Dst, err)
		}
		d.remember(x)
	}
	return nil
}

// block is the ports that agree with port in the bits of mask: the kernel's
// selectors know no other ranges.
type block struct{ port, mask uint16 }

// blocks returns the fewest blocks that are exactly the ports of a selector, at
// most 30. OPAQUE, which the kernel does not know, is any.
func blocks(s ike.TrafficSelector) (out []block) {
	if s.StartPort == 0 && s.EndPort == 65535 || s.StartPort > s.EndPort {
		return []block{{}}
	}
	for from, to := int(s.StartPort), int(s.EndPort); from <= to; {
		size := 1
		for from%(2*size) == 0 && from+2*size-1 <= to {
			size *= 2
		}
		out = append(out, block{uint16(from), uint16(-size)})
		from += size
	}
	return out
}

func (d *databases) remember(x xfrmPolicy) {
	for i, o := range d.policies {
		if o.Dir == x.Dir && selector(o) == selector(x) {
			d.policies[i] = x
			return
		}
	}
	d.policies = append(d.policies, x)
}
