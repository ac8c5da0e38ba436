package ike

import (
	"fmt"
	"slices"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// A CHILD_SA that cannot be rekeyed, say because the gateway wants another key
// exchange (PFS) than we offer, works until its hard lifetime. Rekeying is tried
// with longer and longer waits; before the end a new IKE_SA is asked for, whose
// first CHILD_SA needs no key exchange. What is left without a CHILD_SA all the
// same ends with an error.
const (
	// maxRefusals is how many refusals in a row make us ask for a new IKE_SA, and
	// how many end one that has no CHILD_SA any more.
	maxRefusals = 3
	// maxRefusalWait is the longest wait between two tries.
	maxRefusalWait = 2 * time.Minute
	// reauthLead is how long before the hard lifetime of the CHILD_SA a new IKE_SA
	// is asked for at the latest.
	reauthLead = 30 * time.Second
)

// refusedAgain counts a refusal, and returns when to try again.
func (cfg *childConfig) refusedAgain(c *core) time.Time {
	wait := min(rekeyRetry<<min(cfg.refusals, 8), maxRefusalWait)
	cfg.refusals++
	return c.now.Add(wait - c.jitter(min(rekeyRetryJitter, wait/2)))
}

// notRekeyed decides what follows a rekeying of c that the gateway refused, or
// answered with what cannot be used.
func (c *childState) notRekeyed(set *childSet, sa *ikeSA) {
	c.rekeyAt = c.cfg.refusedAgain(set.core)
	if c.cfg.refusals >= maxRefusals || !c.expireAt.IsZero() && !c.rekeyAt.Before(c.expireAt.Add(-reauthLead)) {
		set.life.reauth(sa, fmt.Sprintf("CHILD_SA %s cannot be rekeyed on it", c))
	}
}

// notMade reports that a CHILD_SA was not made. One that is to take the place of
// another is tried again; where no CHILD_SA is left, not forever.
func (set *childSet) notMade(sa *ikeSA, cfg *childConfig, err error) {
	err = fmt.Errorf("%w: %w", ErrChild, err)
	set.emit(ChildFailed{Name: cfg.Name, Err: err})
	if !cfg.renewing {
		return
	}
	at := cfg.refusedAgain(set.core)
	works := func(c *childState) bool { return !c.dead && !c.closing && !c.deleting }
	if cfg.refusals > maxRefusals && !slices.ContainsFunc(set.list, works) {
		log.Infof(set.ike, "IKE_SA %s has no CHILD_SA any more", sa.name())
		sa.abandon()
		set.fail(err)
		return
	}
	set.life.reauth(sa, fmt.Sprintf("CHILD_SA %s cannot be made on it", cfg.Name))
	set.wanted, set.wantedAt = append(set.wanted, cfg), at
}
