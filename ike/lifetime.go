package ike

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// lifetimes are the timers of the IKE_SA; zero = none.
type lifetimes struct {
	*core
	rekeyAt, expireAt, reauthAt time.Time
	reauthAsked                 bool
}

// Waits before a rekeying that failed is tried again, as strongSwan's.
const (
	rekeyRetry       = 15 * time.Second
	rekeyRetryJitter = 9 * time.Second
)

// scheduleIKE starts the timers of the current IKE_SA.
func (l *lifetimes) scheduleIKE() {
	l.rekeyAt, l.expireAt = time.Time{}, time.Time{}
	if l.cfg.Timers.RekeyTime > 0 {
		d := l.cfg.Timers.RekeyTime - l.jitter(l.cfg.Timers.RandTime)
		l.rekeyAt = l.now.Add(d)
		l.expireAt = l.now.Add(l.cfg.Timers.RekeyTime + l.cfg.Timers.OverTime)
		log.Infof(l.ike, "scheduling rekeying in %ds", int(d.Seconds()))
		log.Infof(l.ike, "maximum IKE_SA lifetime %ds", int((l.cfg.Timers.RekeyTime + l.cfg.Timers.OverTime).Seconds()))
	}
}

// scheduleReauth starts the timer of reauthentication, which rekeying does not
// put off. limit is what the gateway asks for (AUTH_LIFETIME); 0 = nothing.
func (l *lifetimes) scheduleReauth(limit time.Duration) {
	d := l.cfg.Timers.ReauthTime
	if limit > 0 && (d == 0 || limit < d) {
		d = limit - limit/10 // before the gateway closes
	}
	if d <= 0 {
		return
	}
	d -= l.jitter(min(l.cfg.Timers.RandTime, d/2))
	l.reauthAt = l.now.Add(d)
	log.Infof(l.ike, "scheduling reauthentication in %ds", int(d.Seconds()))
}

// reauth asks the caller, once, for a new IKE_SA that replaces this one.
func (l *lifetimes) reauth(sa *ikeSA, why string) {
	if l.reauthAsked || l.state != stateEstablished {
		return
	}
	l.reauthAsked = true
	log.Infof(l.ike, "reauthenticating IKE_SA %s: %s", sa.name(), why)
	l.emit(ReauthDue{Reason: why})
}
