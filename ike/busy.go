package ike

import (
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/message"
)

// Limits of a gateway that answers TEMPORARY_FAILURE again and again. "If a peer
// continues to receive TEMPORARY_FAILURE on the same IKE SA after several minutes, it
// SHOULD conclude that the state information is out of sync and close the IKE SA"
// (RFC 7296 section 2.25).
const (
	// maxBusy is how long it may go on until a new IKE_SA is asked for.
	maxBusy = 3 * time.Minute
	// closeBusy is how long the new one may take; the IKE_SA is closed then.
	closeBusy = 2 * time.Minute
	// busyPause is the longest time between two refusals that belong together: what is
	// refused is tried again much sooner, unless it has become needless.
	busyPause = 2 * time.Minute
)

// busyPeer watches over TEMPORARY_FAILURE in answer to our CREATE_CHILD_SA.
type busyPeer struct {
	life    *lifetimes
	since   time.Time // of the first one; zero = the last answer was another
	last    time.Time
	closeAt time.Time // when the IKE_SA is closed; zero = it is not
}

// refused counts a TEMPORARY_FAILURE.
func (b *busyPeer) refused(sa *ikeSA) {
	now := b.life.now
	if b.since.IsZero() || now.Sub(b.last) > busyPause && b.closeAt.IsZero() {
		b.since = now
	}
	b.last = now
	if now.Sub(b.since) < maxBusy || !b.closeAt.IsZero() {
		return
	}
	b.closeAt = now.Add(closeBusy)
	b.life.reauth(sa, fmt.Sprintf("the gateway has answered %s for %v", message.TemporaryFailure, now.Sub(b.since).Round(time.Second)))
}

// over records that the gateway gave another answer.
func (b *busyPeer) over() { b.since, b.closeAt = time.Time{}, time.Time{} }

// tick closes the IKE_SA whose time is over.
func (b *busyPeer) tick(sa *ikeSA) {
	if !due(b.closeAt, b.life.now) {
		return
	}
	waited := b.life.now.Sub(b.since).Round(time.Second)
	b.closeAt = time.Time{}
	sa.abandon()
	b.life.fail(fmt.Errorf("%w: %s for %v", ErrRefused, message.TemporaryFailure, waited))
}
