package ike

import (
	"slices"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// NextDeadline returns when Tick wants to be called next; zero = never.
func (m *Machine) NextDeadline() time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if m.state == stateCreated || m.state == stateDone {
		return at
	}
	if m.connecting() {
		earlier(m.establishBy)
		if w := m.auth.waiting; w != nil {
			earlier(w.until)
		}
	}
	if x := m.sas.current.pending; x != nil {
		earlier(x.due)
	} else if m.state == stateEstablished && m.cfg.Timers.DPDDelay > 0 {
		earlier(m.lastIn.Add(m.cfg.Timers.DPDDelay))
	}
	m.lifeDeadlines(earlier)
	return at
}

// lifeDeadlines reports each lifetime timer to earlier.
func (m *Machine) lifeDeadlines(earlier func(time.Time)) {
	for _, s := range m.sas.old {
		earlier(s.dropAt)
		if s.pending != nil {
			earlier(s.pending.due)
		}
	}
	if m.follow.peer != nil {
		earlier(m.follow.peer.until)
	}
	idle := m.idle() && m.sas.peer == nil && m.follow.peer == nil
	for _, c := range m.children.list {
		earlier(c.removeAt)
		if c.dead || m.state != stateEstablished {
			continue
		}
		earlier(c.expireAt)
		if idle && c.rekeyable() {
			earlier(c.rekeyAt)
		}
	}
	if m.state != stateEstablished {
		return
	}
	earlier(m.silence.deadline())
	earlier(m.life.expireAt)
	earlier(m.life.busy.closeAt)
	earlier(m.life.reauthAt)
	if idle {
		earlier(m.life.rekeyAt)
		if len(m.children.wanted) > 0 {
			earlier(m.children.wantedAt)
		}
	}
}

// idle reports whether the established IKE_SA may start an exchange.
func (m *Machine) idle() bool {
	sa := m.sas.current
	return m.state == stateEstablished && sa.pending == nil && len(sa.queue) == 0
}

// retransmit repeats the request of sa that is out, or gives up.
func (m *Machine) retransmit(sa *ikeSA) {
	switch {
	case m.auth.own.eapErr != nil && m.state == stateEAP:
		m.fail(m.auth.own.eapErr) // it was reported once; the answer changes nothing
	case !sa.exhausted():
		sa.repeat()
	case sa.retired:
		sa.pending.due = time.Time{} // the peer has forgotten a rekeyed IKE_SA
		sa.dropAt = m.now
	default:
		log.Infof(m.ike, "giving up after %d retransmits", sa.pending.sent-1)
		m.giveUp(sa)
	}
}

// giveUp ends the IKE_SA whose peer does not answer, unless it has another
// address.
func (m *Machine) giveUp(sa *ikeSA) {
	if m.state == stateDeleting {
		m.finish(Closed{})
		return
	}
	if m.mobility.tryOther(sa) {
		return
	}
	m.fail(&NoAnswerError{Gateway: m.path.remote, Exchange: sa.pending.exchange, Retransmissions: sa.pending.sent - 1, Dropped: m.dropped})
}

// tickLife carries out what needs no free window: ends of lifetimes and the
// rest of what was rekeyed.
func (m *Machine) tickLife() {
	for _, s := range slices.Clone(m.sas.old) {
		if s.pending != nil && due(s.pending.due, m.now) && m.state != stateDone {
			m.retransmit(s)
		}
		if due(s.dropAt, m.now) {
			m.sas.forget(s)
		}
	}
	m.follow.expire()
	m.children.tick()
	if m.state != stateEstablished {
		return
	}
	sa := m.sas.current
	if due(m.life.reauthAt, m.now) {
		m.life.reauthAt = time.Time{}
		m.life.reauth(sa, "its time is over")
	}
	m.silence.tick()
	m.life.busy.tick(sa)
	if due(m.life.expireAt, m.now) && m.state == stateEstablished {
		m.life.expireAt = time.Time{}
		log.Infof(m.ike, "IKE_SA %s reached its hard lifetime", sa.name())
		sa.abandon()
		m.fail(ErrExpired)
	}
}

// tick ends what is at the end of its time.
func (set *childSet) tick() {
	for _, c := range slices.Clone(set.list) {
		switch {
		case due(c.removeAt, set.now):
			set.remove(c)
			set.emit(ChildClosed{SPIIn: c.spiIn, SPIOut: c.spiOut, Rekeyed: true})
		case due(c.expireAt, set.now) && !c.dead && set.state == stateEstablished:
			set.expire(c)
		}
	}
}

// expire ends a CHILD_SA at its hard lifetime. Another one takes its place, unless
// that is there already: where the peer rekeyed this one and leaves its DELETE to the
// lifetime, or where our rekeying is done and only the answer to our DELETE is late.
// A rekeying that is under way decides with its answer.
func (set *childSet) expire(c *childState) {
	log.Infof(set.chd, "CHILD_SA %s with SPI %08x reached its hard lifetime", c, c.spiIn)
	c.expireAt = time.Time{}
	switch {
	case c.successor != nil:
		next := c.successor.child
		if c.rekeying {
			c.rival = c.successor
		}
		c.replaced, c.successor, c.closing = true, nil, true
		set.activate(next)
	case c.replaced:
		set.retire(c)
	case c.rekeying:
		c.closing, c.cfg.renewing, c.cfg.refusals = true, true, 0
	default:
		if !c.deleting {
			c.cfg.renew(set)
		}
		c.closing = true
	}
}

// startDue starts one exchange where the window is free and something is due.
func (m *Machine) startDue() {
	if !m.idle() {
		return
	}
	sa := m.sas.current
	if m.mobility.update {
		m.mobility.sendUpdate(sa)
		return
	}
	for _, c := range m.children.list {
		if c.closing && !c.dead {
			m.children.delete(sa, c)
			return
		}
	}
	if m.sas.peer != nil || m.follow.peer != nil {
		return // the IKE_SA or a CHILD_SA is about to change
	}
	if due(m.life.rekeyAt, m.now) {
		m.life.rekeyAt = time.Time{}
		m.sas.start()
		return
	}
	for _, c := range m.children.list {
		if due(c.rekeyAt, m.now) && c.rekeyable() {
			c.rekeyAt = time.Time{}
			m.children.startRekey(sa, c)
			return
		}
	}
	for len(m.children.wanted) > 0 && !m.now.Before(m.children.wantedAt) {
		cfg := m.children.wanted[0]
		m.children.wanted = m.children.wanted[1:]
		if !cfg.isThere(&m.children) {
			m.children.startNew(sa, cfg)
			return
		}
	}
}
