package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

// kernelPlane has the kernel carry the packets.
type kernelPlane struct {
	charon config.Charon
	conn   *swanctl.Connection
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
	for _, ch := range t.children {
		c := p.settings(ch.name)
		c.LocalTS, c.RemoteTS, c.Local, c.Remote = ch.local, ch.remote, t.ours, t.gateway
		if err := p.plane.Trap(c); err != nil {
			return errors.Join(fmt.Errorf("lay the trap of data plane xfrm: %w", err), p.close())
		}
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

// settings are the XFRM interface IDs, the marks and the replay window that are
// configured for a CHILD_SA, the child's before the connection's.
func (p *kernelPlane) settings(name string) xfrm.Child {
	c := xfrm.Child{Name: name, IfIDIn: p.conn.IfIDIn, IfIDOut: p.conn.IfIDOut, ReplayWindow: 32}
	for _, ch := range p.conn.Children {
		if ch.Name != name {
			continue
		}
		c.ReplayWindow, c.MarkIn, c.MarkOut = ch.ReplayWindow, esp.Mark(ch.MarkIn), esp.Mark(ch.MarkOut)
		if ch.IfIDIn != 0 {
			c.IfIDIn = ch.IfIDIn
		}
		if ch.IfIDOut != 0 {
			c.IfIDOut = ch.IfIDOut
		}
	}
	return c
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
	c := p.settings(child.Name)
	c.SPIIn, c.SPIOut, c.Suite, c.Keys = child.SPIIn, child.SPIOut, child.ESP, child.Keys
	c.LocalTS, c.RemoteTS = espSelectors(child.LocalTS), espSelectors(child.RemoteTS)
	c.Local, c.Remote, c.Encap, c.Standby = child.Local, child.Remote, child.Encap, standby
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
