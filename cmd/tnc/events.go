package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/base/log"
)

// event follows what an IKE_SA tells.
func (c *connection) event(r *ikeRun, e ike.Event) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	switch e := e.(type) {
	case ike.Established:
		c.out.GatewayID, c.out.IKEProposal = e.RemoteID.String(), e.Suite
		c.out.Gateway = e.Remote.String()
		r.session = c.session
	case ike.ChildEstablished:
		c.childUp(r, e.Child)
	case ike.ChildRekeyed:
		if !c.planeUp || c.failure != nil { // it is about to end
			e.Child.Zero()
			return
		}
		c.life.rekeys++
		if err := c.plane.install(e.Child, e.Standby); err != nil {
			c.giveUp(err)
			return
		}
		r.spis[e.Child.SPIIn] = true
		c.noteChild(e.Child)
	case ike.ChildActive:
		c.plane.activate(e.SPIIn)
	case ike.Rekeyed:
		c.life.rekeys++
		c.out.IKEProposal = e.Suite
	case ike.Moved:
		c.out.Gateway = e.Path.Remote.String()
		if err := c.plane.moved(e); err != nil {
			log.Group(c.logger, log.KNL).Warn(err.Error())
		}
		if _, kernel := c.plane.(*kernelPlane); kernel && r.handle != nil {
			r.handle.RekeyChildren()
		}
	case ike.ReauthDue:
		select {
		case c.life.reauth <- e.Reason:
		default:
		}
	case ike.ChildFailed:
		if r.up {
			log.Group(c.logger, log.CHD).Warn(e.Err.Error())
			return
		}
		if len(c.life.runs) > 1 { // the old one goes on
			r.handle.Delete()
			return
		}
		c.giveUp(e.Err)
	case ike.ChildClosed:
		c.plane.remove(e.SPIIn)
		delete(r.spis, e.SPIIn)
		delete(c.life.children, e.SPIIn)
		if e.Rekeyed || !c.stay || c.failure != nil || len(r.spis) > 0 || r != c.life.current {
			return
		}
		if ch := c.FirstChild(); ch != nil && profile.NormalizeAction(ch.CloseAction) != "" {
			if profile.NormalizeAction(ch.CloseAction) == profile.ActionTrap {
				c.trap.armed.Store(true)
				log.Group(c.logger, log.CHD).Info("waiting for packets to set the CHILD_SA up again")
			}
			return // else the Machine sets it up again
		}
		if c.startsTrapped() {
			c.trap.armed.Store(true)
			return
		}
		c.giveUp(errors.New("the gateway closed the CHILD_SA: connect again with tnc up " + c.Connection.Name))
	}
}

func (c *connection) noteChild(sa *ike.ChildSA) *child {
	ch := &child{
		Name:     sa.Name,
		SPIIn:    fmt.Sprintf("%08x", sa.SPIIn),
		SPIOut:   fmt.Sprintf("%08x", sa.SPIOut),
		Proposal: sa.ESP.String(),
		LocalTS:  selectorNames(sa.LocalTS),
		RemoteTS: selectorNames(sa.RemoteTS),
	}
	c.life.children[sa.SPIIn] = ch
	return ch
}

// childUp takes a new CHILD_SA: the first one of the connection, a further one,
// or the first one of an IKE_SA that takes over.
func (c *connection) childUp(r *ikeRun, sa *ike.ChildSA) {
	if c.failure != nil { // it is about to end
		sa.Zero()
		return
	}
	if err := c.peerVerdict(); err != nil {
		sa.Zero()
		c.giveUp(err)
		return
	}
	ch := c.noteChild(sa)
	carrying := c.planeUp && slices.Equal(c.life.internal.Addresses, sa.Internal.Addresses)
	var err error
	if carrying {
		err = c.plane.install(sa, false)
	} else {
		if c.planeUp {
			log.Group(c.logger, log.KNL).Info("the virtual IPs changed, making the data plane anew")
			c.hooks.down()
			c.hooked = false
			err = c.plane.close()
			c.planeUp = false
		}
		if err == nil && c.guard != nil {
			err = c.leave(sa.Remote, sa.Internal.Addresses, espSelectors(sa.RemoteTS))
		}
		if err == nil {
			err = c.plane.start(sa, c.sock)
		}
	}
	if err != nil {
		c.giveUp(err)
		return
	}
	r.spis[sa.SPIIn] = true
	c.planeUp = true
	c.trap.armed.Store(false)
	if !c.hooked {
		c.hooked = true
		c.life.internal = sa.Internal
		if err := c.hooks.up(c, sa); err != nil {
			log.Group(c.logger, log.CFG).Warn(err.Error())
		}
	}
	if r.up {
		return // a further one
	}
	r.up = true
	c.life.ups++
	c.out.Child = ch
	c.life.since, c.life.attested = time.Now(), time.Now()
	c.life.state = "up"
	before := c.life.current
	c.life.current = r
	select {
	case c.life.stood <- struct{}{}:
	default:
	}
	if before != nil && before != r && before.handle != nil {
		before.handle.Delete() // make before break
	}
	again := c.up
	c.up = true
	c.settle()
	c.progress.end()
	c.out.setExit(nil)
	if c.ready != nil && !again {
		c.ready(&c.out)
	}
	if !c.stay {
		c.sock.Stop()
	}
}
