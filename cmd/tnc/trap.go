package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

// trap is a connection that is set up when packets want it.
type trap struct {
	armed   atomic.Bool // packets are to be told of, and held
	laid    bool        // it stood, so that an end is no failure
	traffic chan struct{}
}

// acquire hears of packets without a CHILD_SA, from the data plane.
func (t *trap) acquire() bool {
	if !t.armed.Load() {
		return false
	}
	select {
	case t.traffic <- struct{}{}:
	default:
	}
	return true
}

// trapSelectors is what a trap is laid for.
type trapSelectors struct {
	children      []trapChild
	ours, gateway netip.AddrPort
}

type trapChild struct {
	name          string
	local, remote []esp.Selector
}

// startsTrapped reports whether the connection waits for packets before it is
// set up: where no CHILD_SA has start_action = start.
func (c *connection) startsTrapped() bool {
	if !c.stay {
		return false
	}
	for _, ch := range c.Connection.Children {
		if ch.StartAction == "start" {
			return false
		}
	}
	first := c.FirstChild()
	return first != nil && first.StartAction == profile.ActionTrap
}

// await lays the trap where nothing carries packets yet, and returns when one
// wants to be carried.
func (c *connection) await(ctx context.Context) error {
	if !c.planeUp {
		if err := c.layTrap(ctx); err != nil {
			return err
		}
	}
	c.hooks.down()
	c.hooked = false
	select { // of a packet that was sent before
	case <-c.trap.traffic:
	default:
	}
	c.trap.armed.Store(true)
	c.setState("trapped")
	for _, ch := range c.Children() {
		log.Group(c.logger, log.CFG).Info(fmt.Sprintf("'%s' routed, waiting for packets to %s", ch.Name, swanctlSelectors(ch.RemoteTS)))
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.trap.traffic:
	}
	log.Group(c.logger, log.KNL).Info(fmt.Sprintf("creating acquire job for connection '%s'", c.Connection.Name))
	return nil
}

func swanctlSelectors(list []swanctl.TrafficSelector) string {
	var names []ike.TrafficSelector
	for _, ts := range list {
		names = append(names, profile.Selector(ts))
	}
	return fmt.Sprint(selectorNames(names))
}

// layTrap has the data plane catch the packets of the configured selectors,
// where dynamic ones stand for the outer addresses.
func (c *connection) layTrap(ctx context.Context) error {
	remote, local, err := c.addresses(ctx)
	if err != nil {
		return err
	}
	sock, err := c.open(remote, local)
	if err != nil {
		return err
	}
	ours := sock.LocalNATT()
	_ = sock.Close()
	t := trapSelectors{ours: ours, gateway: remote}
	var all []esp.Selector
	for _, ch := range c.Children() {
		one := trapChild{ch.Name, configured(ch.LocalTS, ours.Addr()), configured(ch.RemoteTS, remote.Addr())}
		t.children = append(t.children, one)
		all = append(all, one.remote...)
	}
	if c.guard != nil {
		if err := c.leave(remote, nil, all); err != nil {
			return err
		}
	}
	if err := c.plane.trap(t); err != nil {
		return err
	}
	c.planeUp, c.trap.laid = true, true
	return nil
}

// configured are selectors of swanctl.conf with dynamic ones filled in.
func configured(list []swanctl.TrafficSelector, dynamic netip.Addr) []esp.Selector {
	if len(list) == 0 {
		list = []swanctl.TrafficSelector{{Dynamic: true, ToPort: 65535}}
	}
	var out []esp.Selector
	for _, ts := range list {
		s := esp.Selector{From: ts.From, To: ts.To, Protocol: ts.Protocol, FromPort: ts.FromPort, ToPort: ts.ToPort}
		if ts.Dynamic {
			s.From, s.To = dynamic, dynamic
		}
		out = append(out, s)
	}
	return out
}

// caught sets the CHILD_SAs up again that packets want, on the IKE_SA that
// stands.
func (c *connection) caught() {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	r := c.life.current
	if r == nil || r.handle == nil {
		return
	}
	for _, ch := range c.Children() {
		r.handle.Initiate(ch.Name)
	}
}

func selectorNames(ts []ike.TrafficSelector) []string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.String()
	}
	return names
}
