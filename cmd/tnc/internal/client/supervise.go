package client

import (
	"context"
	"errors"
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

// errDown ends a connection that somebody asked to end, with tnc down.
var errDown = errors.New("the connection was ended by tnc down")

// actionStart is what follows an end where the connection is made again.
const actionStart = "start"

// supervise makes the connection; where it is to stay it is kept up as
// keyingtries, dpd_action and close_action say.
func (c *Client) supervise(ctx context.Context) error {
	ctx, c.stop = context.WithCancelCause(ctx)
	defer c.stop(nil)
	if err := c.serveControl(); err != nil {
		return err
	}
	var again retries
	wait, trapped := reconnectMin, c.startsTrapped()
	for {
		if trapped {
			if err := c.awaitTraffic(ctx); err != nil {
				return err
			}
		}
		before := c.timesUp()
		err := c.connectOnce(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.failure != nil {
			return c.failure
		}
		var redirect *ike.RedirectError
		if errors.As(err, &redirect) {
			if err := c.redirects.follow(redirect, time.Now()); err != nil {
				return err
			}
			continue
		}
		c.redirects.forget()
		if !c.cfg.Stay {
			return err
		}
		wasUp := c.timesUp() != before
		if wasUp {
			again, wait = retries{lost: time.Now()}, reconnectMin
		}
		action := c.nextAction(err, &again)
		if trapped = action == profile.ActionTrap; action == "" {
			return err
		}
		if trapped && wasUp {
			log.Infof(log.Group(c.logger, log.IKE), "%v; waiting for packets", err)
			c.happened(EventLost, err, false, time.Time{})
			continue
		}
		kind := EventFailed
		if wasUp {
			kind = EventLost
		}
		c.happened(kind, err, !wasUp, time.Now().Add(wait))
		if err := c.pause(ctx, err, wait); err != nil {
			return err
		}
		wait = min(wait*2, reconnectMax)
	}
}

// pause waits before the next attempt; reason is why there has to be one.
func (c *Client) pause(ctx context.Context, reason error, wait time.Duration) error {
	c.state.waiting(time.Now().Add(wait))
	log.Infof(log.Group(c.logger, log.IKE), "%v; connecting again in %v", reason, wait)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// timesUp returns how many IKE_SAs came up so far.
func (c *Client) timesUp() int {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	return c.state.timesUp
}

// retries counts the tries of a connection that is not up.
type retries struct {
	tries int       // that failed
	lost  time.Time // since when it is not up any more; zero = it never was
}

// nextAction decides what follows err: "" is the end, ActionTrap that packets are
// waited for, anything else that the connection is made again.
func (c *Client) nextAction(err error, r *retries) (action string) {
	ch := c.profile.FirstChild()
	if ch == nil {
		return ""
	}
	r.tries++
	trapped := c.startsTrapped()
	if c.timesUp() == 0 && !trapped {
		if unreached(err) && !c.exhausted(r) {
			return actionStart
		}
		return ""
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ike.ErrPeerDeleted):
		action = profile.NormalizeAction(ch.CloseAction)
	case unreached(err):
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
	if action != profile.ActionTrap && c.exhausted(r) {
		return ""
	}
	return action
}

// unreached reports whether no address of the gateway answered, or it does not
// answer any more: the next try may do better. A name that is not found is not
// among that, as in strongSwan.
func unreached(err error) bool {
	var route *RouteError
	return errors.As(err, &route) || errors.Is(err, ike.ErrNoAnswer) || errors.Is(err, ike.ErrTimeout) || errors.Is(err, ike.ErrMoved) || errors.Is(err, ike.ErrExpired)
}

// exhausted reports whether keyingtries allows no further try. Where a connection
// is lost each of them counts for the time that the retransmissions take, since one
// without a route fails at once.
func (c *Client) exhausted(r *retries) bool {
	n := c.profile.Connection.KeyingTries
	if n == 0 || r.tries < n {
		return false
	}
	return r.lost.IsZero() || time.Since(r.lost) > time.Duration(n)*c.lossTime
}

// lossTime is how long a lost gateway is waited for with each of keyingtries, at
// least: strongSwan's retransmissions with the default times.
const lossTime = 165 * time.Second
