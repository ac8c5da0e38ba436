package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
)

// ikeRun is one IKE_SA of a connection.
type ikeRun struct {
	num     int
	peers   []*eap.Peer // of each round of ours that is EAP
	session *tnccs.Session
	handle  *udp.Handle
	spis    map[uint32]bool // inbound ones, in the data plane
	up      bool
	err     error
}

// follow takes a REDIRECT to heart, at most so often (RFC 5685 §4).
func (c *connection) follow(r *ike.RedirectError) error {
	now := time.Now()
	c.life.redirects = slices.DeleteFunc(c.life.redirects, func(t time.Time) bool {
		return now.Sub(t) > ike.RedirectPeriodSeconds*time.Second
	})
	if len(c.life.redirects) >= ike.MaxRedirects {
		return fmt.Errorf("%w: that is the %dth redirect within %d s, the gateways send us in circles", r, ike.MaxRedirects+1, ike.RedirectPeriodSeconds)
	}
	c.life.redirects = append(c.life.redirects, now)
	c.life.gateway, c.life.from = r.To, r.From
	return nil
}

// attempt opens the sockets and keeps IKE_SAs on them until none is left.
func (c *connection) attempt(ctx context.Context) error {
	remote, local, err := c.addresses(ctx)
	if err != nil {
		return err
	}
	if c.life.gateway != "" {
		a, err := resolve(ctx, c.life.gateway)
		if err != nil {
			return fmt.Errorf("find the gateway that we were redirected to: %w", err)
		}
		remote = netip.AddrPortFrom(a, remote.Port())
	}
	c.out.Gateway = remote.String()
	sock, err := c.open(remote, local)
	if err != nil {
		return err
	}
	c.sock = sock
	defer sock.Close()
	c.plane.attach(sock)
	c.progress.note("connecting to %s", remote)

	ends := make(chan *ikeRun, 8)
	running := 0
	begin := func(first bool) error {
		r, cfg, err := c.newRun(remote, first)
		if err != nil {
			return err
		}
		running++
		go func() {
			r.err = sock.RunWith(ctx, cfg, func(e ike.Event) { c.event(r, e) }, func(h *udp.Handle) {
				c.life.mu.Lock()
				r.handle = h
				c.life.mu.Unlock()
			})
			ends <- r
		}()
		return nil
	}
	if err := begin(true); err != nil {
		return err
	}
	var result error
	var retry, attest <-chan time.Time
	if c.reattest > 0 {
		t := time.NewTicker(c.reattest)
		defer t.Stop()
		attest = t.C
	}
	successor := func() bool { return running > 1 }
	next := func(why string) {
		if successor() {
			return
		}
		log.Group(c.logger, log.IKE).Info(fmt.Sprintf("making a new IKE_SA for connection '%s': %s", c.Connection.Name, why))
		if err := begin(false); err != nil {
			log.Group(c.logger, log.IKE).Warn(err.Error())
			retry = time.After(reauthRetry)
		}
	}
	for running > 0 {
		select {
		case r := <-ends:
			running--
			wasCurrent := c.ended(r)
			if wasCurrent || running == 0 {
				if r.err != nil || running == 0 {
					result = r.err
				}
			} else if !r.up && ctx.Err() == nil {
				log.Group(c.logger, log.IKE).Warn(fmt.Sprintf("reauthentication failed: %v; the connection stays as it is, next try in %v", r.err, reauthRetry))
				retry = time.After(reauthRetry)
			}
		case why := <-c.life.reauth:
			next(why)
		case <-c.life.stood: // another session may want something
		case <-c.trap.traffic:
			c.caught()
		case <-retry:
			retry = nil
			next("the last try failed")
		case <-attest:
			next("it is time to attest again")
		case <-c.wanted():
			next("an IMC asks for a new handshake")
		}
	}
	return result
}

// wanted receives when an IMC of the current session asks for a new handshake;
// nil, which never receives, where there is none.
func (c *connection) wanted() <-chan struct{} {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if !c.stay || c.life.current == nil || c.life.current.session == nil {
		return nil
	}
	return c.life.current.session.Wanted()
}

// newRun prepares an IKE_SA. Later ones take over from the one before, so they
// do not tell the gateway to forget it.
func (c *connection) newRun(remote netip.AddrPort, first bool) (*ikeRun, ike.Config, error) {
	cfg, peers, err := c.builder.Config(c.sock.Local().Addr())
	if err != nil {
		return nil, cfg, err
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.life.num++
	c.begun = false
	cfg.ID = c.life.num
	cfg.NoInitialContact = cfg.NoInitialContact || !first
	cfg.FragmentSize = c.Charon.FragmentSizeV4
	if remote.Addr().Is6() {
		cfg.FragmentSize = c.Charon.FragmentSizeV6
	}
	cfg.RedirectedFrom = c.life.from
	cfg.ForceEncap = cfg.ForceEncap || c.needsUDP
	cfg.KeyLog = c.keylog
	c.out.Identity = cfg.LocalRounds[0].ID.String()
	r := &ikeRun{num: c.life.num, peers: peers, spis: map[uint32]bool{}}
	c.life.runs = append(c.life.runs, r)
	return r, cfg, nil
}

// ended takes a finished IKE_SA out, and reports whether it carried the
// packets.
func (c *connection) ended(r *ikeRun) (wasCurrent bool) {
	for _, p := range r.peers {
		c.keyed = c.keyed || p.MSK() != nil
		p.Close()
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.life.runs = slices.DeleteFunc(c.life.runs, func(o *ikeRun) bool { return o == r })
	for spi := range r.spis {
		c.plane.remove(spi)
		delete(c.life.children, spi)
	}
	if wasCurrent = c.life.current == r; wasCurrent {
		c.life.current = nil
	}
	if r.session != nil && r.session != c.session {
		_ = r.session.Close()
	}
	return wasCurrent
}

// giveUp ends everything because of err.
func (c *connection) giveUp(err error) {
	if c.failure == nil {
		c.failure = err
	}
	c.sock.Stop()
}
