package ike

import (
	"encoding/binary"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// lifetimes are the timers of the IKE_SA; zero = none.
type lifetimes struct {
	*core
	rekeyAt, expireAt, reauthAt time.Time
	reauthAsked                 bool
	busy                        busyPeer
}

// Waits before a rekeying that failed is tried again, as strongSwan's.
const (
	rekeyRetry       = 15 * time.Second
	rekeyRetryJitter = 9 * time.Second
)

// scheduleIKE starts the timers of the current IKE_SA.
func (l *lifetimes) scheduleIKE() {
	l.rekeyAt, l.expireAt = time.Time{}, time.Time{}
	l.busy.over()
	if l.cfg.Timers.RekeyTime > 0 {
		d := l.cfg.Timers.RekeyTime - l.jitter(l.cfg.Timers.RandTime)
		l.rekeyAt = l.now.Add(d)
		l.expireAt = l.now.Add(l.cfg.Timers.RekeyTime + l.cfg.Timers.OverTime)
		log.Infof(l.ike, "scheduling rekeying in %ds", int(d.Seconds()))
		log.Infof(l.ike, "maximum IKE_SA lifetime %ds", int((l.cfg.Timers.RekeyTime + l.cfg.Timers.OverTime).Seconds()))
	}
}

// minAuthLifetime is the soonest that the gateway's AUTH_LIFETIME makes us
// reauthenticate: a gateway that says 1 s does not keep both sides busy without
// pause. Config.Timers may say less.
const minAuthLifetime = 60 * time.Second

// scheduleReauth starts the configured timer of reauthentication, which rekeying
// does not put off.
func (l *lifetimes) scheduleReauth() {
	if d := l.cfg.Timers.ReauthTime; d > 0 {
		l.reauthIn(d - l.jitter(min(l.cfg.Timers.RandTime, d/2)))
	}
}

// readAuthLifetime obeys the AUTH_LIFETIME of msg (RFC 4478), in IKE_AUTH or an
// INFORMATIONAL request: reauthentication comes before the gateway closes the
// IKE_SA. It comes no later than it is scheduled already, so that repetitions do
// not put it off, and no sooner than minAuthLifetime.
func (l *lifetimes) readAuthLifetime(msg *message.Message) {
	n := msg.Notify(message.AuthLifetime)
	if n == nil || l.state != stateEstablished || l.reauthAsked {
		return
	}
	if len(n.Data) != 4 {
		log.Infof(l.ike, "ignoring AUTH_LIFETIME of %d octets", len(n.Data))
		return
	}
	limit := time.Duration(binary.BigEndian.Uint32(n.Data)) * time.Second
	log.Infof(l.ike, "received AUTH_LIFETIME of %ds", int(limit.Seconds()))
	d := limit - limit/10 // before the gateway closes
	d -= l.jitter(min(l.cfg.Timers.RandTime, d/2))
	if d < minAuthLifetime {
		d = minAuthLifetime
		log.Infof(l.ike, "AUTH_LIFETIME of %ds is short, reauthenticating after %ds at the soonest", int(limit.Seconds()), int(d.Seconds()))
	}
	if !l.reauthAt.IsZero() && !l.now.Add(d).Before(l.reauthAt) {
		log.Infof(l.ike, "reauthentication already scheduled in %ds", int(l.reauthAt.Sub(l.now).Seconds()))
		return
	}
	l.reauthIn(d)
}

// reauthIn starts the timer of reauthentication.
func (l *lifetimes) reauthIn(d time.Duration) {
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
