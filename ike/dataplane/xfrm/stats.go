package xfrm

import (
	"net"

	"github.com/vishvananda/netlink"

	"github.com/gotnc/gotnc/ike/esp"
)

// usage is what the kernel counted for a state.
type usage struct{ packets, bytes uint64 }

// kernelUsage asks the kernel; zero where there is no such state.
func kernelUsage(s xfrmState) usage {
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
func (d *databases) count(total *esp.Stats, states []xfrmState, inbound bool) {
	if d.usage == nil {
		return
	}
	for i, s := range states {
		u := d.usage(s)
		if i == 0 && inbound {
			total.InPackets += u.packets
			total.InBytes += u.bytes
		} else {
			total.OutPackets += u.packets
			total.OutBytes += u.bytes
		}
	}
}

// stats sums up all states so far.
func (d *databases) stats() esp.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := d.removed
	for _, states := range d.states {
		d.count(&total, states, true)
	}
	return total
}

// childStats is of the states of one CHILD_SA.
func (d *databases) childStats(spiIn uint32) (total esp.Stats, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	states, ok := d.states[spiIn]
	d.count(&total, states, true)
	return total, ok
}
