package client

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

// trap is a connection that is set up when packets want it.
type trap struct {
	armed   atomic.Bool // packets without a CHILD_SA are reported, and held
	laid    bool        // the data plane has it, so that an end is no failure
	traffic chan struct{}
	packet  atomic.Pointer[ike.Trigger] // that was reported last
}

// acquire is called by the data plane for packets without a CHILD_SA. It reports
// whether they are to be held until there is one.
func (t *trap) acquire(packet ike.Trigger) bool {
	if !t.armed.Load() {
		return false
	}
	t.packet.CompareAndSwap(nil, &packet)
	select {
	case t.traffic <- struct{}{}:
	default:
	}
	return true
}

// take returns the first packet that was reported since the last call; nil where
// there is none.
func (t *trap) take() *ike.Trigger { return t.packet.Swap(nil) }

// ErrNoTrap is the error of start_action = trap with a data plane that catches no
// packets.
var ErrNoTrap = errors.New("start_action = trap needs a data plane that catches packets")

// startsTrapped reports whether the connection waits for packets before it is
// set up: where no CHILD_SA has start_action = start.
func (c *Client) startsTrapped() bool {
	if !c.cfg.Stay {
		return false
	}
	for _, ch := range c.profile.Connection.Children {
		if ch.StartAction == "start" {
			return false
		}
	}
	first := c.profile.FirstChild()
	return first != nil && first.StartAction == profile.ActionTrap
}

// awaitTraffic lays the trap where nothing carries packets yet, and returns when
// one wants to be carried.
func (c *Client) awaitTraffic(ctx context.Context) error {
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
	c.trap.take()
	c.trap.armed.Store(true)
	c.state.setPhase(Trapped)
	c.happened(EventTrapped, nil, false, time.Time{})
	c.met()
	for _, ch := range c.profile.Children() {
		log.Infof(log.Group(c.logger, log.CFG), "'%s' routed, waiting for packets to %s", ch.Name, configuredNames(ch.RemoteTS))
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.trap.traffic:
	}
	log.Infof(log.Group(c.logger, log.KNL), "creating acquire job for connection '%s'", c.profile.Connection.Name)
	return nil
}

func configuredNames(list []swanctl.TrafficSelector) []string {
	var ts []ike.TrafficSelector
	for _, s := range list {
		ts = append(ts, profile.Selector(s))
	}
	return selectorNames(ts)
}

// layTrap has the data plane catch the packets of the configured selectors,
// where dynamic ones stand for the outer addresses.
func (c *Client) layTrap(ctx context.Context) error {
	sock, remote, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	ours := sock.LocalNATT()
	_ = sock.Close()
	var children []*ike.ChildSA
	for _, ch := range c.profile.Children() {
		children = append(children, &ike.ChildSA{
			Name: ch.Name, LocalTS: configured(ch.LocalTS, ours.Addr()), RemoteTS: configured(ch.RemoteTS, remote.Addr()), Local: ours, Remote: remote,
		})
	}
	if err := c.recordCleanup(children...); err != nil {
		return err
	}
	if err := c.plane.Trap(children...); errors.Is(err, dataplane.ErrNoTrap) {
		return ErrNoTrap
	} else if err != nil {
		return err
	}
	c.planeUp, c.trap.laid = true, true
	return nil
}

// openAny opens the sockets to the first address of the gateway that there is a
// route to.
func (c *Client) openAny(ctx context.Context) (sock *transport.Conn, remote netip.AddrPort, err error) {
	hosts, err := c.profile.RemoteHosts()
	if err != nil {
		return nil, remote, err
	}
	var failed []error
	for _, host := range hosts {
		addrs, err := resolve(ctx, host)
		if err != nil {
			failed = append(failed, c.gatewayNotFound(err))
		}
		for _, addr := range addrs {
			remote = netip.AddrPortFrom(addr, c.profile.Connection.RemotePort)
			local, err := c.localAddress(ctx, addr)
			if err == nil {
				err = routeTo(local, remote)
			}
			if err == nil {
				sock, err = c.openUDP(remote, local)
			}
			if err == nil {
				return sock, remote, nil
			}
			failed = append(failed, err)
		}
	}
	return nil, remote, errors.Join(failed...)
}

// configured returns selectors of swanctl.conf with dynamic ones filled in.
func configured(list []swanctl.TrafficSelector, dynamic netip.Addr) []ike.TrafficSelector {
	if len(list) == 0 {
		list = []swanctl.TrafficSelector{{Dynamic: true, ToPort: 65535}}
	}
	var out []ike.TrafficSelector
	for _, ts := range list {
		if ts.Dynamic {
			ts.Dynamic, ts.From, ts.To = false, dynamic, dynamic
		}
		out = append(out, profile.Selector(ts))
	}
	return out
}

// initiateChildren sets the CHILD_SAs up again that packets want, on the current
// IKE_SA.
func (c *Client) initiateChildren() {
	h := c.state.currentHandle()
	if h == nil {
		return
	}
	packet := c.trap.take()
	for _, ch := range c.profile.Children() {
		h.Initiate(ch.Name, packet)
	}
}
