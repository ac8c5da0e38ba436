package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/ike/xfrm"
	"github.com/gotnc/gotnc/internal/config"
	"github.com/gotnc/gotnc/internal/config/swanctl"
	"github.com/gotnc/gotnc/internal/log"
)

// kernelPlane has the kernel carry the packets.
type kernelPlane struct {
	charon config.Charon
	conn   *swanctl.Connection
	child  *swanctl.Child
	logger *slog.Logger
	// acquire hears of packets without a CHILD_SA
	acquire func()
	plane   *xfrm.Plane
	sock    *udp.Conn
}

// trap has the kernel ask for the CHILD_SA: the first one is installed later.
func (p *kernelPlane) trap(t trapSelectors) error {
	if err := p.open(nil); err != nil {
		return err
	}
	in, out, marks := p.interfaces()
	err := p.plane.Trap(xfrm.Trap{LocalTS: t.local, RemoteTS: t.remote, Local: t.ours.Addr(), Remote: t.gateway.Addr(),
		IfIDIn: in, IfIDOut: out, MarkIn: marks[0], MarkOut: marks[1]})
	if err != nil {
		return errors.Join(fmt.Errorf("lay the trap of data plane xfrm: %w", err), p.close())
	}
	return nil
}

// open prepares the kernel, without a CHILD_SA.
func (p *kernelPlane) open(virtual []netip.Addr) (err error) {
	p.plane, err = xfrm.Open(xfrm.Config{
		Logger: p.logger, Name: p.conn.Name, Addresses: virtual, NoRoutes: !p.charon.InstallRoutes, NoAddresses: !p.charon.InstallVirtualIP,
		Table: p.charon.RoutingTable, Priority: p.charon.RoutingTablePrio, Acquire: p.acquire,
	})
	if err != nil {
		return fmt.Errorf("start data plane xfrm: %w", err)
	}
	return nil
}

// interfaces are the XFRM interface IDs and marks that are configured, the
// child's before the connection's.
func (p *kernelPlane) interfaces() (in, out uint32, marks [2]esp.Mark) {
	in, out = p.conn.IfIDIn, p.conn.IfIDOut
	if ch := p.child; ch != nil {
		marks = [2]esp.Mark{esp.Mark(ch.MarkIn), esp.Mark(ch.MarkOut)}
		if ch.IfIDIn != 0 {
			in = ch.IfIDIn
		}
		if ch.IfIDOut != 0 {
			out = ch.IfIDOut
		}
	}
	return in, out, marks
}

func (p *kernelPlane) start(child *ike.ChildSA, sock *udp.Conn) error {
	var virtual []netip.Addr
	for _, a := range child.Internal.Addresses {
		virtual = append(virtual, a.Addr())
	}
	p.sock = sock
	if err := p.open(virtual); err != nil {
		child.Zero()
		return err
	}
	return p.install(child, false)
}

func (p *kernelPlane) install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	if child.Encap {
		if err := p.sock.KernelESP(); err != nil {
			return err
		}
	}
	in, out, marks := p.interfaces()
	c := xfrm.Child{
		Name: child.Name, SPIIn: child.SPIIn, SPIOut: child.SPIOut, Suite: child.ESP, Keys: child.Keys,
		LocalTS: espSelectors(child.LocalTS), RemoteTS: espSelectors(child.RemoteTS),
		Local: child.Local, Remote: child.Remote, Encap: child.Encap, Standby: standby, ReplayWindow: 32,
		IfIDIn: in, IfIDOut: out, MarkIn: marks[0], MarkOut: marks[1],
	}
	if p.child != nil {
		c.ReplayWindow = p.child.ReplayWindow
	}
	return p.plane.Install(c)
}

func (p *kernelPlane) activate(spiIn uint32) {
	if p.plane == nil {
		return
	}
	if err := p.plane.Activate(spiIn); err != nil {
		log.Group(p.logger, log.KNL).Warn(err.Error())
	}
}

func (p *kernelPlane) remove(spiIn uint32) {
	if p.plane != nil {
		p.plane.Remove(spiIn)
	}
}

// moved leaves the states to the rekeying that follows: it makes new ones with
// the new addresses.
func (p *kernelPlane) moved(ike.Moved) error { return nil }

func (p *kernelPlane) attach(sock *udp.Conn) {
	p.sock = sock
	if err := sock.Bypass(); err != nil {
		log.Group(p.logger, log.KNL).Warn(err.Error())
	}
}

func (p *kernelPlane) close() error {
	if p.plane == nil {
		return nil
	}
	err := p.plane.Close()
	log.Group(p.logger, log.CHD).Info(p.plane.Stats().String())
	p.plane = nil
	return err
}
