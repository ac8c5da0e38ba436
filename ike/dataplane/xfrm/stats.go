package xfrm

import (
	"net"

	"github.com/vishvananda/netlink"

	"github.com/gotnc/gotnc/ike/esp"
)

// usage is what the kernel counted for a state.
type usage struct{ packets, bytes uint64 }

// kernelUsage asks the kernel; zero where the state is gone.
func kernelUsage(s State) usage {
	q := &netlink.XfrmState{Dst: net.IP(s.Dst.AsSlice()), Src: net.IP(s.Src.AsSlice()), Proto: netlink.XFRM_PROTO_ESP, Spi: int(s.SPI), Ifid: int(s.IfID)}
	if s.Mark.Mask != 0 {
		q.Mark = &netlink.XfrmMark{Value: s.Mark.Value, Mask: s.Mark.Mask}
	}
	got, err := netlink.XfrmStateGet(q)
	if err != nil {
		return usage{}
	}
	return usage{got.Statistics.Packets, got.Statistics.Bytes}
}

// count adds states of a CHILD_SA to total; inbound: the first one is.
func (p *Plane) count(total *esp.Stats, states []State, inbound bool) {
	if p.usage == nil {
		return
	}
	for i, s := range states {
		u := p.usage(s)
		if i == 0 && inbound {
			total.InPackets += u.packets
			total.InBytes += u.bytes
		} else {
			total.OutPackets += u.packets
			total.OutBytes += u.bytes
		}
	}
}

// Stats sums up all states so far.
func (p *Plane) Stats() esp.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := p.gone
	for _, states := range p.states {
		p.count(&total, states, true)
	}
	return total
}
