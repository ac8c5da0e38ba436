package xfrm

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/esp"
)

// pair installs the three policies of a pair of selectors.
func (p *Plane) pair(c Child, l, r esp.Selector) error {
	for _, lp := range l.Prefixes() {
		for _, rp := range r.Prefixes() {
			if lp.Addr().Is4() != rp.Addr().Is4() {
				continue
			}
			prio := uint32(400000 - 512*(lp.Bits()+rp.Bits()))
			out := Policy{Dir: Out, Src: lp, Dst: rp, Protocol: max(l.Protocol, r.Protocol), SrcPort: single(l), DstPort: single(r),
				Priority: prio, TunnelSrc: c.Local.Addr(), TunnelDst: c.Remote.Addr(), ReqID: p.reqIDFor(c.Name), Mark: c.MarkOut, IfID: c.IfIDOut}
			in := Policy{Dir: In, Src: rp, Dst: lp, Protocol: out.Protocol, SrcPort: out.DstPort, DstPort: out.SrcPort,
				Priority: prio, TunnelSrc: out.TunnelDst, TunnelDst: out.TunnelSrc, ReqID: p.reqIDFor(c.Name), Mark: c.MarkIn, IfID: c.IfIDIn}
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
	for i, o := range p.policies {
		if o.Dir == x.Dir && o.Src == x.Src && o.Dst == x.Dst && o.Protocol == x.Protocol && o.SrcPort == x.SrcPort && o.DstPort == x.DstPort {
			p.policies[i] = x
			return
		}
	}
	p.policies = append(p.policies, x)
}
