package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Pauses of the life of a connection.
const (
	reconnectMin = time.Second
	reconnectMax = time.Minute
	reauthRetry  = 30 * time.Second
)

// errDown: somebody asked for the end, tnc down.
var errDown = errors.New("the connection was ended by tnc down")

// lifeState is what the goroutines of a connection share: one an IKE_SA, one
// that supervises, those of the control socket.
type lifeState struct {
	mu         sync.Mutex
	runs       []*ikeRun // newest last
	current    *ikeRun   // whose CHILD_SAs carry the packets
	reauth     chan string
	stood      chan struct{} // another IKE_SA carries the packets
	num        int           // IKE_SAs so far
	ups        int           // IKE_SAs that came to stand
	since      time.Time
	attested   time.Time
	rekeys     int
	reconnects int
	state      string
	children   map[uint32]*child // by inbound SPI
	redirects  []time.Time
	gateway    string     // where a REDIRECT sent us; "" = as configured
	from       netip.Addr // who sent us there
	internal   ike.Internal
}

// connect makes the connection; where it is to stay it is kept up as
// keyingtries, dpd_action and close_action say.
func (c *connection) connect(ctx context.Context) error {
	c.life.reauth, c.life.stood = make(chan string, 1), make(chan struct{}, 1)
	c.life.children = map[uint32]*child{}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.end = cancel
	if c.guard != nil {
		if err := c.guard.serve(c); err != nil {
			return err
		}
	}
	tries, wait, trapped := 0, reconnectMin, c.startsTrapped()
	for {
		if trapped {
			if err := c.await(ctx); err != nil {
				return err
			}
		}
		c.setState("connecting")
		before := c.life.ups
		err := c.attempt(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.failure != nil {
			return c.failure
		}
		var redirect *ike.RedirectError
		if errors.As(err, &redirect) {
			if err := c.follow(redirect); err != nil {
				return err
			}
			continue
		}
		// Anybody on the way can redirect (RFC 5685 §3): where it led nowhere, and
		// for the next connection anyway, the configured gateway counts.
		c.life.gateway, c.life.from = "", netip.Addr{}
		if !c.stay {
			return err
		}
		if c.life.ups != before {
			tries, wait = 0, reconnectMin
		}
		action := c.again(err, &tries)
		if trapped = action == profile.ActionTrap; action == "" {
			return err
		}
		if trapped && c.life.ups != before {
			log.Group(c.logger, log.IKE).Info(fmt.Sprintf("%v; waiting for packets", err))
			continue
		}
		c.setState("reconnecting")
		c.life.mu.Lock()
		c.life.reconnects++
		c.life.mu.Unlock()
		log.Group(c.logger, log.IKE).Info(fmt.Sprintf("%v; connecting again in %v", err, wait))
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
		wait = min(wait*2, reconnectMax)
	}
}

// again decides what follows err: "" is the end, trap that packets are waited
// for, anything else that the connection is made again.
func (c *connection) again(err error, tries *int) (action string) {
	ch := c.FirstChild()
	if ch == nil {
		return ""
	}
	c.life.mu.Lock()
	wasUp := !c.life.since.IsZero()
	c.life.mu.Unlock()
	lost := errors.Is(err, ike.ErrNoAnswer) || errors.Is(err, ike.ErrTimeout) || errors.Is(err, ike.ErrMoved) || errors.Is(err, ike.ErrExpired)
	trapped := c.startsTrapped()
	if !wasUp && !trapped {
		*tries++
		if lost && (c.Connection.KeyingTries == 0 || *tries < c.Connection.KeyingTries) {
			return "start"
		}
		return ""
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ike.ErrPeerDeleted):
		action = profile.NormalizeAction(ch.CloseAction)
	case lost:
		action = profile.NormalizeAction(ch.DPDAction)
	// While reconnecting: what cannot get better by itself ends it.
	case errors.Is(err, ike.ErrAuthFailed), errors.Is(err, ike.ErrGatewayAuth), errors.Is(err, ike.ErrEAP), errors.Is(err, ike.ErrProposal):
		return ""
	default:
		action = profile.NormalizeAction(ch.DPDAction)
	}
	if action == "" && trapped {
		action = profile.ActionTrap // the policies stay, as in strongSwan
	}
	return action
}

func (c *connection) setState(s string) {
	c.life.mu.Lock()
	c.life.state = s
	c.life.mu.Unlock()
}
