package ike

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// lifetimes are the timers of the IKE_SA; zero = none.
type lifetimes struct {
	rekeyAt, expireAt, reauthAt time.Time
	reauthTold                  bool
}

// Waits before a rekeying that failed is tried again, as strongSwan's.
const (
	rekeyRetry       = 15 * time.Second
	rekeyRetryJitter = 9 * time.Second
)

// ErrExpired: the IKE_SA came to the end of its lifetime and was not rekeyed.
var ErrExpired = errors.New("the IKE_SA reached the end of its lifetime")

// jitter is a random duration in [0, most).
func (m *Machine) jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	b, err := m.random(8)
	if err != nil {
		return 0
	}
	return time.Duration(float64(most) * (float64(binary.BigEndian.Uint64(b)>>11) / (math.MaxUint64 >> 11)))
}

// scheduleIKE starts the timers of the current IKE_SA.
func (m *Machine) scheduleIKE() {
	m.life.rekeyAt, m.life.expireAt = time.Time{}, time.Time{}
	if m.cfg.RekeyTime > 0 {
		d := m.cfg.RekeyTime - m.jitter(m.cfg.RandTime)
		m.life.rekeyAt = m.now.Add(d)
		m.life.expireAt = m.now.Add(m.cfg.RekeyTime + m.cfg.OverTime)
		log.Infof(m.ike, "scheduling rekeying in %ds", int(d.Seconds()))
		log.Infof(m.ike, "maximum IKE_SA lifetime %ds", int((m.cfg.RekeyTime + m.cfg.OverTime).Seconds()))
	}
}

// scheduleReauth starts the timer of reauthentication, which rekeying does not
// put off. limit is what the gateway asks for (AUTH_LIFETIME); 0 = nothing.
func (m *Machine) scheduleReauth(limit time.Duration) {
	d := m.cfg.ReauthTime
	if limit > 0 && (d == 0 || limit < d) {
		d = limit - limit/10 // before the gateway closes
	}
	if d <= 0 {
		return
	}
	d -= m.jitter(min(m.cfg.RandTime, d/2))
	m.life.reauthAt = m.now.Add(d)
	log.Infof(m.ike, "scheduling reauthentication in %ds", int(d.Seconds()))
}

// reauth asks the caller once for a new IKE_SA in place of this one.
func (m *Machine) reauth(why string) {
	if m.life.reauthTold || m.state != stateEstablished {
		return
	}
	m.life.reauthTold = true
	log.Infof(m.ike, "reauthenticating IKE_SA %s: %s", m.name(), why)
	m.emit(ReauthDue{Reason: why})
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// tickLife carries out what needs no free window: ends of lifetimes and the
// rest of what was rekeyed.
func (m *Machine) tickLife() {
	for _, s := range slices.Clone(m.old) {
		if s.pending != nil && due(s.pending.due, m.now) && m.state != stateDone {
			m.on(s, m.retransmit)
		}
		if due(s.dropAt, m.now) {
			m.forget(s)
		}
	}
	if m.follow != nil && due(m.follow.until, m.now) {
		m.ike.Info("the peer did not go on with its additional key exchanges")
		m.dropFollowUp()
	}
	for _, c := range slices.Clone(m.children) {
		switch {
		case due(c.removeAt, m.now):
			m.children = slices.DeleteFunc(m.children, func(o *childState) bool { return o == c })
			m.emit(ChildClosed{SPIIn: c.spiIn, SPIOut: c.spiOut, Rekeyed: true})
		case due(c.expireAt, m.now) && !c.dead && m.state == stateEstablished:
			log.Infof(m.chd, "CHILD_SA %s with SPI %08x reached its hard lifetime", c, c.spiIn)
			c.expireAt, c.closing = time.Time{}, true
			m.wanted = append(m.wanted, c.cfg)
		}
	}
	if m.state != stateEstablished {
		return
	}
	if due(m.life.reauthAt, m.now) {
		m.life.reauthAt = time.Time{}
		m.reauth("its time is over")
	}
	if due(m.life.expireAt, m.now) {
		m.life.expireAt = time.Time{}
		log.Infof(m.ike, "IKE_SA %s reached its hard lifetime", m.name())
		m.pending, m.queue = nil, nil
		m.request(request{exchange: message.Informational, what: doDelete,
			payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}})
		m.fail(ErrExpired)
	}
}

// startDue begins one exchange of ours where the window is free and something
// is due.
func (m *Machine) startDue() {
	if m.state != stateEstablished || m.pending != nil || len(m.queue) > 0 {
		return
	}
	if m.mobility.update {
		m.sendUpdate()
		return
	}
	for _, c := range m.children {
		if c.closing && !c.dead {
			m.deleteChildSA(c)
			return
		}
	}
	if m.peerRekey != nil || m.follow != nil {
		return // the IKE_SA or a CHILD_SA is about to change
	}
	if due(m.life.rekeyAt, m.now) {
		m.life.rekeyAt = time.Time{}
		m.startRekeyIKE()
		return
	}
	for _, c := range m.children {
		if due(c.rekeyAt, m.now) && !c.dead && !c.deleting && c.peerRekey == nil && !c.standby {
			c.rekeyAt = time.Time{}
			m.startRekeyChild(c)
			return
		}
	}
	if len(m.wanted) > 0 && !m.now.Before(m.wantedAt) {
		cfg := m.wanted[0]
		m.wanted = m.wanted[1:]
		m.startChild(cfg)
	}
}

// lifeDeadlines tells every deadline of this file.
func (m *Machine) lifeDeadlines(earlier func(time.Time)) {
	for _, s := range m.old {
		earlier(s.dropAt)
		if s.pending != nil {
			earlier(s.pending.due)
		}
	}
	if m.follow != nil {
		earlier(m.follow.until)
	}
	idle := m.state == stateEstablished && m.pending == nil && len(m.queue) == 0 && m.peerRekey == nil && m.follow == nil
	for _, c := range m.children {
		earlier(c.removeAt)
		if c.dead || m.state != stateEstablished {
			continue
		}
		earlier(c.expireAt)
		if idle && !c.deleting && c.peerRekey == nil && !c.standby {
			earlier(c.rekeyAt)
		}
	}
	if m.state != stateEstablished {
		return
	}
	earlier(m.life.expireAt)
	earlier(m.life.reauthAt)
	if idle {
		earlier(m.life.rekeyAt)
		if len(m.wanted) > 0 {
			earlier(m.wantedAt)
		}
	}
}

// Rekey starts rekeying the IKE_SA as soon as the window allows.
func (m *Machine) Rekey(now time.Time) Outputs {
	m.begin(now)
	if m.state == stateEstablished {
		m.life.rekeyAt = now
	}
	return m.end()
}

// RekeyChildren starts rekeying every CHILD_SA.
func (m *Machine) RekeyChildren(now time.Time) Outputs {
	m.begin(now)
	for _, c := range m.children {
		if !c.dead {
			c.rekeyAt = now
		}
	}
	return m.end()
}

// Initiate sets up the configured CHILD_SA of that name, where none stands and
// none is being made.
func (m *Machine) Initiate(now time.Time, name string) Outputs {
	m.begin(now)
	for _, c := range m.configured {
		if c.Name != name || m.state != stateEstablished || slices.Contains(m.wanted, c) ||
			slices.ContainsFunc(m.children, func(o *childState) bool { return o.cfg.Name == name && !o.dead }) ||
			m.pending != nil && m.pending.job != nil && m.pending.job.cfg == c {
			continue
		}
		m.wanted = append(m.wanted, c)
	}
	return m.end()
}

// zeroAll forgets the keys of every IKE_SA.
func (m *Machine) zeroAll() {
	if p := m.pending; p != nil && p.job != nil {
		p.job.zero()
	}
	m.dropFollowUp()
	m.zero()
	for _, s := range m.old {
		s.zero()
	}
	m.old = nil
	if m.peerRekey != nil {
		m.peerRekey.sa.zero()
		m.peerRekey = nil
	}
	m.children, m.wanted = nil, nil
}
