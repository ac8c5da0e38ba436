package client

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

// kernelPlane has the kernel carry the packets.
type kernelPlane struct {
	charon settings.Charon
	conn   *swanctl.Connection
	logger *slog.Logger
	// acquire hears of packets without a CHILD_SA
	acquire func()
	plane   atomic.Pointer[xfrm.Plane]
	sock    *udp.Conn
}

// Trap has the kernel ask for the CHILD_SA: the first one is installed later.
func (p *kernelPlane) Trap(t TrapSelectors) error {
	if err := p.open(nil); err != nil {
		return err
	}
	for _, ch := range t.Children {
		c := p.settings(ch.Name)
		c.LocalTS, c.RemoteTS, c.Local, c.Remote = ch.Local, ch.Remote, t.Local, t.Gateway
		if err := p.plane.Load().Trap(c); err != nil {
			return errors.Join(fmt.Errorf("lay the trap of data plane xfrm: %w", err), p.Close())
		}
	}
	return nil
}

// open prepares the kernel, without a CHILD_SA.
func (p *kernelPlane) open(virtual []netip.Addr) error {
	plane, err := xfrm.Open(xfrm.Config{
		Logger: p.logger, Name: p.conn.Name, Addresses: virtual, NoRoutes: !p.charon.InstallRoutes, NoAddresses: !p.charon.InstallVirtualIP,
		Table: p.charon.RoutingTable, Priority: p.charon.RoutingTablePrio, Acquire: p.acquire,
	})
	if err != nil {
		return fmt.Errorf("start data plane xfrm: %w", err)
	}
	p.plane.Store(plane)
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

func (p *kernelPlane) Start(child *ike.ChildSA, sock *udp.Conn) error {
	var virtual []netip.Addr
	for _, a := range child.Internal.Addresses {
		virtual = append(virtual, a.Addr())
	}
	p.sock = sock
	if err := p.open(virtual); err != nil {
		child.Zero()
		return err
	}
	return p.Install(child, false)
}

func (p *kernelPlane) Install(child *ike.ChildSA, standby bool) error {
	defer child.Zero()
	if child.Encap {
		if err := p.sock.KernelESP(); err != nil {
			return err
		}
	}
	c := p.settings(child.Name)
	c.SPIIn, c.SPIOut, c.Suite, c.Keys = child.SPIIn, child.SPIOut, child.ESP, child.Keys
	c.LocalTS, c.RemoteTS = Selectors(child.LocalTS), Selectors(child.RemoteTS)
	c.Local, c.Remote, c.Encap, c.Standby = child.Local, child.Remote, child.Encap, standby
	return p.plane.Load().Install(c)
}

func (p *kernelPlane) Activate(spiIn uint32) {
	plane := p.plane.Load()
	if plane == nil {
		return
	}
	if err := plane.Activate(spiIn); err != nil {
		log.Group(p.logger, log.KNL).Warn(err.Error())
	}
}

func (p *kernelPlane) Remove(spiIn uint32) {
	if plane := p.plane.Load(); plane != nil {
		plane.Remove(spiIn)
	}
}

// Moved leaves the states to the rekeying that follows: it makes new ones with
// the new addresses.
func (p *kernelPlane) Moved(ike.Moved) error { return nil }

func (p *kernelPlane) Attach(sock *udp.Conn) {
	p.sock = sock
	if err := sock.Bypass(); err != nil {
		log.Group(p.logger, log.KNL).Warn(err.Error())
	}
}

func (p *kernelPlane) Close() error {
	plane := p.plane.Swap(nil)
	if plane == nil {
		return nil
	}
	err := plane.Close()
	log.Group(p.logger, log.CHD).Info(plane.Stats().String())
	return err
}

func (p *kernelPlane) Kind() esp.Kind { return esp.XFRM }

// NeedsUDP is false: the kernel takes ESP in IP too.
func (p *kernelPlane) NeedsUDP() bool { return false }

// Device is "": the kernel's policies need none.
func (p *kernelPlane) Device() string { return "" }

func (p *kernelPlane) Stats() esp.Stats {
	if plane := p.plane.Load(); plane != nil {
		return plane.Stats()
	}
	return esp.Stats{}
}
