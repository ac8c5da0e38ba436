package xfrm

import (
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/esp"
)

// pair installs the policies of a pair of selectors.
func (p *Plane) pair(c Child, l, r esp.Selector) error {
	if l.Protocol != 0 && r.Protocol != 0 && l.Protocol != r.Protocol {
		return nil // no packet fits both
	}
	for _, lp := range l.Prefixes() {
		for _, rp := range r.Prefixes() {
			if lp.Addr().Is4() != rp.Addr().Is4() {
				continue
			}
			for _, ours := range blocks(l) {
				for _, theirs := range blocks(r) {
					if err := p.triple(c, lp, rp, max(l.Protocol, r.Protocol), ours, theirs); err != nil {
						return err
					}
				}
			}
			if err := p.route(rp, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// triple installs a policy for each direction.
func (p *Plane) triple(c Child, l, r netip.Prefix, protocol uint8, ours, theirs block) error {
	prio := uint32(400000 - 512*(l.Bits()+r.Bits()))
	out := Policy{Dir: Out, Src: l, Dst: r, Protocol: protocol, SrcPort: ours.port, SrcMask: ours.mask, DstPort: theirs.port, DstMask: theirs.mask,
		Priority: prio, TunnelSrc: c.Local.Addr(), TunnelDst: c.Remote.Addr(), ReqID: p.reqIDFor(c.Name), Mark: c.MarkOut, IfID: c.IfIDOut}
	in := Policy{Dir: In, Src: r, Dst: l, Protocol: protocol, SrcPort: theirs.port, SrcMask: theirs.mask, DstPort: ours.port, DstMask: ours.mask,
		Priority: prio, TunnelSrc: out.TunnelDst, TunnelDst: out.TunnelSrc, ReqID: p.reqIDFor(c.Name), Mark: c.MarkIn, IfID: c.IfIDIn}
	fwd := in
	fwd.Dir = Forward
	for _, x := range []Policy{in, fwd, out} {
		if err := p.send(updatePolicy(x)); err != nil {
			return fmt.Errorf("install policy %s === %s: %w", x.Src, x.Dst, err)
		}
		p.remember(x)
	}
	return nil
}

// block is the ports that agree with port in the bits of mask: the kernel's
// selectors know no other ranges.
type block struct{ port, mask uint16 }

// blocks returns the fewest blocks that are exactly the ports of a selector, at
// most 30. OPAQUE, which the kernel does not know, is any.
func blocks(s esp.Selector) (out []block) {
	if s.FromPort == 0 && s.ToPort == 65535 || s.FromPort > s.ToPort {
		return []block{{}}
	}
	for from, to := int(s.FromPort), int(s.ToPort); from <= to; {
		size := 1
		for from%(2*size) == 0 && from+2*size-1 <= to {
			size *= 2
		}
		out = append(out, block{uint16(from), uint16(-size)})
		from += size
	}
	return out
}

func (p *Plane) remember(x Policy) {
	for i, o := range p.policies {
		if o.Dir == x.Dir && selector(o) == selector(x) {
			p.policies[i] = x
			return
		}
	}
	p.policies = append(p.policies, x)
}
