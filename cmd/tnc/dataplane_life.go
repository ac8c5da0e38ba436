package main

import (
	"errors"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/udp"
)

func (noPlane) install(child *ike.ChildSA, _ bool) error {
	child.Zero()
	return nil
}

func (noPlane) trap(trapSelectors) error {
	return errors.New("start_action = trap needs a data plane that catches packets: use --dataplane tun or xfrm")
}

func (noPlane) activate(uint32)       {}
func (noPlane) remove(uint32)         {}
func (noPlane) moved(ike.Moved) error { return nil }
func (noPlane) attach(*udp.Conn)      {}

func (p *devicePlane) attach(sock *udp.Conn) {
	p.sock.Store(sock)
	if p.plane != nil {
		sock.OnESP(p.plane.Receive)
	}
}

func (p *devicePlane) install(child *ike.ChildSA, standby bool) error {
	c, err := espChild(child)
	if err != nil {
		return err
	}
	c.ReplayWindow, c.Standby = p.window, standby
	return p.plane.Install(c)
}

func (p *devicePlane) activate(spiIn uint32) {
	if p.plane != nil {
		p.plane.Activate(spiIn)
	}
}

func (p *devicePlane) remove(spiIn uint32) {
	if p.plane != nil {
		p.plane.Remove(spiIn)
	}
}

func (p *devicePlane) moved(e ike.Moved) error {
	if p.plane == nil {
		return nil
	}
	return p.plane.Moved(e.Path.Local, e.Path.Remote, e.Encap)
}
