package client

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// asked spaces out the new IKE_SAs that IMCs ask for: one that asks after every
// attestation must not keep this machine and the gateway busy. The first begins at
// once, the next ones after a pause that doubles.
type asked struct {
	last  time.Time        // when the newest began, or will begin
	pause time.Duration    // from last to the next one, at least
	due   <-chan time.Time // receives when the next one begins; nil = none was asked for
}

// Pauses between new IKE_SAs that IMCs ask for.
const (
	minAskedPause = 30 * time.Second
	maxAskedPause = time.Hour
)

// wait counts a new IKE_SA that an IMC asks for, and returns when it may begin: the
// time from now.
func (a *asked) wait(now time.Time) time.Duration {
	since := now.Sub(a.last)
	if a.last.IsZero() || since > 2*a.pause {
		a.last, a.pause = now, minAskedPause
		return 0
	}
	wait := max(a.pause-since, 0)
	a.last, a.pause = now.Add(wait), min(2*a.pause, maxAskedPause)
	return wait
}

// handshakeWanted receives when an IMC of the current session asks for a new
// handshake; nil, which never receives, where there is none.
func (c *Client) handshakeWanted() <-chan struct{} {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	if !c.cfg.Stay || c.state.current == nil || c.state.current.session == nil {
		return nil
	}
	return c.state.current.session.Wanted()
}

// handshakeAsked sets when the new IKE_SA begins that an IMC asks for: now or after a pause.
func (a *attempt) handshakeAsked() {
	if a.asked.due != nil {
		return // that one will do
	}
	wait := a.asked.wait(time.Now())
	if wait > 0 {
		log.Infof(log.Group(a.logger, log.IKE), "an IMC asks for a new handshake again, which begins in %v", wait.Round(time.Second))
	}
	a.asked.due = time.After(wait)
}
