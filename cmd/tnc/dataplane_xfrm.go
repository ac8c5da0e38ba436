package main

import (
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
	plane  *xfrm.Plane
	sock   *udp.Conn
}

func (p *kernelPlane) start(child *ike.ChildSA, sock *udp.Conn) error {
	var virtual []netip.Addr
	for _, a := range child.Internal.Addresses {
		virtual = append(virtual, a.Addr())
	}
	p.sock = sock
	if child.Encap {
		if err := sock.KernelESP(); err != nil {
			child.Zero()
			return err
		}
	}
	var err error
	if p.plane, err = xfrm.Open(xfrm.Config{
		Logger: p.logger, Name: p.conn.Name, Addresses: virtual, NoRoutes: !p.charon.InstallRoutes, NoAddresses: !p.charon.InstallVirtualIP,
		Table: p.charon.RoutingTable, Priority: p.charon.RoutingTablePrio,
	}); err != nil {
		child.Zero()
		return fmt.Errorf("start data plane xfrm: %w", err)
	}
	return p.install(child, false)
}

func (p *kernelPlane) install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	c := xfrm.Child{
		Name: child.Name, SPIIn: child.SPIIn, SPIOut: child.SPIOut, Suite: child.ESP, Keys: child.Keys,
		LocalTS: espSelectors(child.LocalTS), RemoteTS: espSelectors(child.RemoteTS),
		Local: child.Local, Remote: child.Remote, Encap: child.Encap, Standby: standby, ReplayWindow: 32,
		IfIDIn: p.conn.IfIDIn, IfIDOut: p.conn.IfIDOut,
	}
	if ch := p.child; ch != nil {
		c.ReplayWindow = ch.ReplayWindow
		c.MarkIn, c.MarkOut = esp.Mark(ch.MarkIn), esp.Mark(ch.MarkOut)
		if ch.IfIDIn != 0 {
			c.IfIDIn = ch.IfIDIn
		}
		if ch.IfIDOut != 0 {
			c.IfIDOut = ch.IfIDOut
		}
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

func (p *kernelPlane) attach(sock *udp.Conn) { p.sock = sock }

func (p *kernelPlane) close() error {
	if p.plane == nil {
		return nil
	}
	err := p.plane.Close()
	p.plane = nil
	return err
}
