package client

import (
	"errors"
	"slices"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/internal/base/log"
)

// event acts on what an IKE_SA reports.
func (c *Client) event(r *ikeRun, e ike.Event) {
	c.events.Lock()
	defer c.events.Unlock()
	switch e := e.(type) {
	case ike.Established:
		c.state.established(r, e)
	case ike.ChildEstablished:
		c.childUp(r, e)
	case ike.ChildRekeyed:
		c.childRekeyed(r, e)
	case ike.ChildActive:
		c.warnPlane(c.plane.Activate(e.SPIIn))
	case ike.Rekeyed:
		c.state.mu.Lock()
		c.state.rekeyings++
		c.state.result.IKEProposal = e.Suite
		c.state.mu.Unlock()
	case ike.Moved:
		c.state.update(func(res *Result) { res.Gateway = e.Path.Remote })
		c.moved(r, e)
	case ike.ReauthDue:
		c.requestReauth(e.Reason)
	case ike.ChildFailed:
		c.childFailed(r, e)
	case ike.ChildClosed:
		c.childClosed(r, e)
	}
}

// moved takes the packets to another path.
func (c *Client) moved(r *ikeRun, e ike.Moved) {
	err := c.plane.Move(e)
	if !errors.Is(err, dataplane.ErrRekey) {
		c.warnPlane(err)
		return
	}
	if h := c.state.handleOf(r); h != nil {
		h.RekeyChildren()
	}
}

// requestReauth asks for a new IKE_SA, unless that is asked for already.
func (c *Client) requestReauth(why string) {
	select {
	case c.reauth <- why:
	default:
	}
}

// childRekeyed installs the CHILD_SA that takes the place of another.
func (c *Client) childRekeyed(r *ikeRun, e ike.ChildRekeyed) {
	if !c.planeUp || c.failure != nil { // it is about to end
		e.Child.Zero()
		return
	}
	c.state.mu.Lock()
	c.state.rekeyings++
	c.state.mu.Unlock()
	child := newChild(e.Child)
	if err := c.plane.Install(e.Child, e.Standby); err != nil {
		c.giveUp(err)
		return
	}
	r.spis[e.Child.SPIIn] = true
	c.state.setChild(e.Child.SPIIn, child)
}

func (c *Client) childFailed(r *ikeRun, e ike.ChildFailed) {
	switch {
	case r.up:
		log.Group(c.logger, log.CHD).Warn(e.Err.Error())
	case c.state.running() > 1: // the old one goes on
		c.state.handleOf(r).Delete()
	default:
		c.giveUp(e.Err)
	}
}

// childClosed removes a CHILD_SA. Where it was the last one that carried packets,
// close_action decides what follows.
func (c *Client) childClosed(r *ikeRun, e ike.ChildClosed) {
	c.warnPlane(c.plane.Remove(e.SPIIn))
	delete(r.spis, e.SPIIn)
	c.state.removeChild(e.SPIIn)
	if e.Rekeyed || e.Renewing || !c.cfg.Stay || c.failure != nil || len(r.spis) > 0 || !c.state.isCurrent(r) {
		return
	}
	if ch := c.profile.FirstChild(); ch != nil && profile.NormalizeAction(ch.CloseAction) != "" {
		if profile.NormalizeAction(ch.CloseAction) == profile.ActionTrap {
			c.trap.armed.Store(true)
			log.Group(c.logger, log.CHD).Info("waiting for packets to set the CHILD_SA up again")
		}
		return
	}
	if c.startsTrapped() {
		c.trap.armed.Store(true)
		return
	}
	c.giveUp(ErrChildClosed)
}

// ErrChildClosed ends a connection whose last CHILD_SA the gateway closed.
var ErrChildClosed = errors.New("the gateway closed the CHILD_SA")

// childUp installs a new CHILD_SA: the first one of the connection, a further one,
// or the first one of an IKE_SA that takes over.
func (c *Client) childUp(r *ikeRun, e ike.ChildEstablished) {
	sa := e.Child
	if c.failure != nil { // it is about to end
		sa.Zero()
		return
	}
	if err := c.peerVerdict(); err != nil {
		sa.Zero()
		c.giveUp(err)
		return
	}
	child := newChild(sa)
	c.state.setChild(sa.SPIIn, child)
	c.useSocket(r.sock)
	if err := c.carry(e); err != nil {
		c.giveUp(err)
		return
	}
	r.spis[sa.SPIIn] = true
	c.planeUp = true
	c.trap.armed.Store(false)
	c.hook(r, sa)
	if r.up {
		return // a further one
	}
	r.up = true
	c.tunnelUp(r, child)
}

// hook gives the name servers to the system and runs the updown script, where that
// was not done; where a new IKE_SA brought other name servers, those take their
// place.
func (c *Client) hook(r *ikeRun, sa *ike.ChildSA) {
	before := c.state.assigned()
	switch {
	case !c.hooked:
		c.hooked = true
		c.state.setInternal(sa.Internal)
		c.warnPlane(c.runDir.saveLast(dataplane.VirtualIPs(sa)))
		if err := c.hooks.up(c, sa); err != nil {
			log.Group(c.logger, log.CFG).Warn(err.Error())
		}
	case !r.up && !(slices.Equal(before.DNS, sa.Internal.DNS) && slices.Equal(before.Domains, sa.Internal.Domains)):
		c.state.setInternal(sa.Internal)
		c.hooks.removeServers()
		if err := c.hooks.install(c, sa.Internal); err != nil {
			log.Group(c.logger, log.CFG).Warn(err.Error())
		}
	}
}

// carry gives a new CHILD_SA to the data plane, which is made again where the
// virtual IPs have changed.
func (c *Client) carry(e ike.ChildEstablished) error {
	sa := e.Child
	if c.planeUp && slices.Equal(c.state.addresses(), sa.Internal.Addresses) {
		return c.plane.Install(sa, e.Standby)
	}
	if c.planeUp {
		log.Group(c.logger, log.KNL).Info("the virtual IPs changed, making a new data plane")
		c.hooks.down()
		c.hooked = false
		c.planeUp = false
		if err := c.plane.Close(); err != nil {
			return err
		}
	}
	if err := c.recordCleanup(sa); err != nil {
		return err
	}
	return c.plane.Install(sa, false)
}

// tunnelUp records that an IKE_SA came up with its first CHILD_SA, and ends the
// one that it replaces.
func (c *Client) tunnelUp(r *ikeRun, child Child) {
	first := c.timesUp() == 0
	replaced := c.state.setCurrent(r, child)
	select {
	case c.switched <- struct{}{}:
	default:
	}
	if replaced != nil { // make before break
		if h := c.state.handleOf(replaced); h != nil {
			h.Delete()
		}
	}
	c.updateTotals(false)
	if replaced != nil {
		c.happened(EventReattested, nil, true, time.Time{})
	} else {
		c.happened(EventUp, nil, true, time.Time{})
	}
	c.met()
	if first && c.cfg.OnUp != nil {
		c.cfg.OnUp(c.result())
	}
	if !c.cfg.Stay {
		c.sock.Load().Stop()
	}
}
