package client

import (
	"errors"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
)

// ErrNoTrap is the error of a trap that a data plane cannot lay.
var ErrNoTrap = errors.New("start_action = trap needs a data plane that catches packets")

// NoPlane carries nothing.
type NoPlane struct{}

// Kind is esp.None.
func (NoPlane) Kind() esp.Kind { return esp.None }

// NeedsUDP is false.
func (NoPlane) NeedsUDP() bool { return false }

// Device is "".
func (NoPlane) Device() string { return "" }

// Stats are zero.
func (NoPlane) Stats() esp.Stats { return esp.Stats{} }

// Start forgets the keys.
func (NoPlane) Start(child *ike.ChildSA, _ *udp.Conn) error {
	child.Zero()
	return nil
}

// Install forgets the keys.
func (NoPlane) Install(child *ike.ChildSA, _ bool) error {
	child.Zero()
	return nil
}

// Trap is ErrNoTrap.
func (NoPlane) Trap(TrapSelectors) error { return ErrNoTrap }

// Activate does nothing.
func (NoPlane) Activate(uint32) {}

// Remove does nothing.
func (NoPlane) Remove(uint32) {}

// Moved does nothing.
func (NoPlane) Moved(ike.Moved) error { return nil }

// Attach does nothing.
func (NoPlane) Attach(*udp.Conn) {}

// Close does nothing.
func (NoPlane) Close() error { return nil }

func (p *devicePlane) Kind() esp.Kind { return esp.TUN }

// NeedsUDP is true: ESP in user space travels in UDP.
func (p *devicePlane) NeedsUDP() bool { return true }

func (p *devicePlane) Device() string {
	if plane := p.plane.Load(); plane != nil {
		return (*plane).Device()
	}
	return ""
}

func (p *devicePlane) Stats() esp.Stats {
	if plane := p.plane.Load(); plane != nil {
		return (*plane).Stats()
	}
	return esp.Stats{}
}

func (p *devicePlane) Attach(sock *udp.Conn) {
	p.sock.Store(sock)
	if plane := p.plane.Load(); plane != nil {
		sock.OnESP((*plane).Receive)
	}
}

func (p *devicePlane) Install(child *ike.ChildSA, standby bool) error {
	c, err := SA(child)
	if err != nil {
		return err
	}
	c.ReplayWindow, c.Standby = p.window, standby
	return (*p.plane.Load()).Install(c)
}

func (p *devicePlane) Activate(spiIn uint32) {
	if plane := p.plane.Load(); plane != nil {
		(*plane).Activate(spiIn)
	}
}

func (p *devicePlane) Remove(spiIn uint32) {
	if plane := p.plane.Load(); plane != nil {
		(*plane).Remove(spiIn)
	}
}

func (p *devicePlane) Moved(e ike.Moved) error {
	plane := p.plane.Load()
	if plane == nil {
		return nil
	}
	return (*plane).Moved(e.Path.Local, e.Path.Remote, e.Encap)
}
