package pts

import (
	"errors"
	"time"
)

// Bounds of what a verifier may have computed: a D-H exchange costs a processor
// milliseconds, a quote a TPM up to seconds. A verifier needs one of each an
// assessment.
const (
	maxExchangesAMessage = 1
	maxQuotesAMessage    = 4
	maxExchangesAMinute  = 20
	maxQuotesAMinute     = 20
)

// ErrTooMany ends the turn of a verifier that asks for more D-H exchanges than
// it may.
var ErrTooMany = errors.New("more D-H exchanges than a verifier may ask for")

// rate counts something against its bounds.
type rate struct {
	aMessage, aMinute int // bounds
	message, minute   int // so far
	began             time.Time
}

// allow counts one, and reports whether it is within the bounds. A zero time is not
// known: there is no bound a minute then.
func (r *rate) allow(now time.Time) bool {
	if now.IsZero() || now.Sub(r.began) >= time.Minute || now.Before(r.began) {
		r.began, r.minute = now, 0
	}
	if r.message >= r.aMessage || r.minute >= r.aMinute {
		return false
	}
	r.message++
	if !now.IsZero() {
		r.minute++
	}
	return true
}

// BeginMessage says that the next attributes are of another message: what one may
// ask for at most begins anew.
func (m *Machine) BeginMessage() { m.exchanges.message, m.quotes.message = 0, 0 }

func (m *Machine) now() time.Time {
	if m.cfg.Now == nil {
		return time.Time{}
	}
	return m.cfg.Now()
}
